"""`python benchmarks/defects [check] [theme ...]`, also as `python -m benchmarks.defects`."""

import sys
from pathlib import Path

sys.path[0] = str(Path(__file__).resolve().parents[1])  # so that no theme hides a package of its name

from defects._running import main  # noqa: E402 found only on the path set above

sys.exit(main(sys.argv[1:]))
