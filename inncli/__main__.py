"""`python -m inncli` is `inn`."""

from __future__ import annotations

import sys

from inncli.cli.app import main

if __name__ == "__main__":
    sys.exit(main())
