"""`python -m demo` shows the main job."""

import signal
import sys

# While the rest is being loaded nothing has begun, so an interrupt just ends it, without a traceback.
signal.signal(signal.SIGINT, signal.SIG_DFL)

from demo.demo import main  # noqa: E402

sys.exit(main())
