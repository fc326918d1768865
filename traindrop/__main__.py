"""`python -m traindrop`: the command `traindrop` without its script."""

from traindrop.cli import main

raise SystemExit(main())
