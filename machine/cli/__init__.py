"""The `dovetail` command. Each module of this folder that has `add_arguments` and `run` is a subcommand.

Exit status of all of them: 0 success; 1 failure, or the requested object does not exist (a line on stderr says why);
2 the command line is wrong.
"""

from __future__ import annotations

import argparse
import importlib
import os
import pkgutil
import sys
from collections.abc import Sequence
from types import ModuleType

from dovetail import _native
from dovetail.core.errors import DovetailError

FAILED = 1
INTERRUPTED = 130  # as shells count: 128 and the number of the signal


def subcommands() -> dict[str, ModuleType]:
    """Modules of subcommands by name; each has `add_arguments(parser)`, and `run(args)`, which returns the status."""
    found = {}
    for info in pkgutil.iter_modules(__path__):
        if not info.name.startswith("_"):
            module = importlib.import_module(f"{__name__}.{info.name}")
            if hasattr(module, "add_arguments") and hasattr(module, "run"):
                found[info.name.replace("_", "-")] = module
    return found


def parser() -> argparse.ArgumentParser:
    """The command line, put together from the subcommands."""
    top = argparse.ArgumentParser(prog="dovetail", description="An open, plugin-first inference runtime.")
    top.add_argument("--version", action="version", version=f"dovetail {_native.VERSION}")
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, module in subcommands().items():
        doc = (module.__doc__ or "").strip()
        summary = doc.partition("\n")[0].partition(": ")[2] or doc.partition("\n")[0]
        sub = commands.add_parser(name, help=summary, description=summary)
        module.add_arguments(sub)
        sub.set_defaults(run=module.run)
    return top


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit status. Errors in files, names and plans are printed without a traceback."""
    args = parser().parse_args(argv)
    try:
        return args.run(args) or 0
    except DovetailError as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        return FAILED
    except BrokenPipeError:  # the reader, such as `head`, has closed the pipe
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:
        about = f"'{error.filename}': " if error.filename is not None else ""
        print(f"cannot read {about}{error.strerror or error}", file=sys.stderr)
        return FAILED
    except KeyboardInterrupt:
        return INTERRUPTED
