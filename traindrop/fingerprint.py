"""What a training was made of, as one digest: equal data with equal settings are not trained twice."""

from __future__ import annotations

import hashlib
import posixpath
from collections.abc import Mapping

from traindrop.data_yaml import Description
from traindrop.dataset import TRAINED_ON, Split
from traindrop.settings import TrainingSettings
from traindrop.sources import Source

_DECIDES_NO_MODEL = {
    "force",
    "expect",
    "checks",
    "spot",
    "instance_types",
    "on_demand_fallback",
    "max_runtime_hours",
    "capacity_patience_hours",
    "max_wait_hours",
    "max_cost_usd",
    "promotion_margin",
}


def fingerprint(
    source: Source, description: Description, splits: Mapping[str, Split], settings: TrainingSettings, model: str
) -> str:
    """Digest of class names, of the settings that change the model, and of each image's and label's name and content.

    The order of files does not matter, nor does the test split, nor what no training reads.

    Args:
        source: gives the content digests: an MD5 or another ETag in S3, the CRC-32 in a zip, so that a folder and a
            zip of the same files differ.
        description: the data.yaml.
        splits: its images and labels.
        settings: of them what decides where, how long and how dearly is trained is left out.
        model: what `settings.model` points to: for `best` the run whose model that is now.
    """
    decisive = settings.model_dump(mode="json", exclude=_DECIDES_NO_MODEL | {"model"}, exclude_none=True)
    digest = hashlib.sha256()
    digest.update(repr((sorted(description.names.items()), model, sorted(decisive.items()))).encode())
    for name in TRAINED_ON:
        files = {file.name: file for file in (*splits[name].images, *splits[name].labels)}
        digests = source.digests(list(files))
        for file in sorted(files.values(), key=lambda file: file.name):
            digest.update(f"{name}\0{posixpath.normpath(file.name)}\0{file.size}\0{digests[file.name]}\n".encode())
    return f"sha256:{digest.hexdigest()}"
