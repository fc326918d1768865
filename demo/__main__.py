"""`python -m demo` shows the main job."""

import sys

from demo.demo import main

sys.exit(main())
