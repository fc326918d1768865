"""`python -m deployment`, in the environment `sam`; `make deploy` makes that first."""

import signal
import sys

# While the rest is being loaded nothing has begun, so an interrupt just ends it, without a traceback.
signal.signal(signal.SIGINT, signal.SIG_DFL)

from deployment.deploy import main  # noqa: E402

sys.exit(main())
