"""Prints requirements of pyproject.toml, one a line, so that they are stated nowhere else.

python .ci/requirements.py build run test    the build system's, the package's own, the extra `test`
"""

import sys
from pathlib import Path

try:
    import tomllib
except ImportError:  # Python 3.10: the reader that pip carries
    from pip._vendor import tomli as tomllib

document = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text(encoding="utf-8"))
groups = {
    **document["project"]["optional-dependencies"],
    "build": [*document["build-system"]["requires"], "cmake>=3.25", "ninja>=1.11"],
    "run": document["project"]["dependencies"],
}
for group in sys.argv[1:]:
    if group not in groups:
        sys.exit(f"pyproject.toml has no group {group!r}; it has {', '.join(sorted(groups))}")
    print("\n".join(groups[group]))
