"""`python -m dovetail` and `python -m dovetail.machine.cli`, for when the `dovetail` script is not on the path."""

import sys

from dovetail.machine.cli import main

if __name__ == "__main__":
    sys.exit(main())
