#!/bin/sh
# Entry point of the training container: brings what the image lacks, then becomes the training process.
#
# This file lies at <root>/input/data/code/entry.sh; <root> is /opt/ml on SageMaker and any folder elsewhere.
# Scratch space is <root>'s own /tmp, which SageMaker puts on the job's volume. The image's packages stay as they
# are: what is missing goes to a folder of its own, searched first. A failed install is told in <root>/output/failure.
set -eu

here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
root=$(dirname -- "$(dirname -- "$(dirname -- "$here")")")
work=${root%/opt/ml}/tmp/traindrop
packages=$work/packages
mkdir -p "$packages" "$work/python" "$root/output"

ln -sfn "$here" "$work/python/training_entry"
ln -sfn "$here/traindrop" "$work/python/traindrop"
PYTHONPATH=$packages:$work/python${PYTHONPATH:+:$PYTHONPATH}
PYTHONSAFEPATH=1
PYTHONUNBUFFERED=1
export PYTHONPATH PYTHONSAFEPATH PYTHONUNBUFFERED
cd "$work"

if ! missing=$(python3 -m training_entry.requirements "$here/requirements.txt"); then
    echo "The training image has no Python 3.11 or newer that runs as python3." | tee "$root/output/failure" >&2
    exit 14
fi
if [ -n "$missing" ]; then
    echo "Installing:" $missing
    python3 -m pip install --no-deps --require-hashes --only-binary :all: --target "$packages" --upgrade --no-compile \
        --no-input --disable-pip-version-check --root-user-action ignore --quiet -r "$here/requirements.txt" \
        >"$work/install.log" 2>&1 &
    installer=$!
    trap 'kill "$installer"; exit 143' TERM
    if ! wait "$installer"; then
        cat "$work/install.log" >&2
        reason=$(grep -i error "$work/install.log" | tail -n 1 | cut -c -500)
        [ -n "$reason" ] || reason=$(tail -n 1 "$work/install.log" | cut -c -500)
        printf '%s\n' "The packages that the training image lacks could not be installed ($reason); a job in a closed \
network needs a package index (PIP_INDEX_URL) or a training image that holds them." | tee "$root/output/failure" >&2
        exit 14
    fi
    trap - TERM
fi

exec python3 -m training_entry.train "$root" "$work"
