"""`python -m hpe`: the same as the `hpe` command."""

from __future__ import annotations

import sys

from hpe.cli import main

if __name__ == "__main__":
    sys.exit(main())
