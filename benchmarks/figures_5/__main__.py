"""The figures of issue 5: `make figures-5` prints each from the committed tree with shipped configs."""

import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[0] = str(HERE.parent)  # so that `common` is found, and no part hides a package of its name

from runner import main  # noqa: E402

sys.exit(main(HERE, sys.argv[1:]))
