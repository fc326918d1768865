"""`python -m local_cloud` is what `make local` runs: the local cloud in the foreground until Ctrl-C."""

import signal
import sys

# While the rest is being loaded nothing has begun, so an interrupt just ends it, without a traceback.
signal.signal(signal.SIGINT, signal.SIG_DFL)

from local_cloud.foreground import main  # noqa: E402

sys.exit(main())
