"""Opens a library in a child process first, so that only the child is affected if it crashes, exits or hangs."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from typing import Any

from dovetail.core.errors import DovetailError, LibraryRefused
from dovetail.registry import library_files, library_records

TIMEOUT_S = 20.0  # for a child to start, open a library and read its tables
_HERE = "None of its code has run in this process."
_TAIL = 400  # last characters of the child's stderr that a message shows


def check_library(path: str | os.PathLike[str], timeout_s: float = TIMEOUT_S) -> dict[str, Any]:
    """A library's description, read in a child process: name, version, abi, hash, ops and implementations.

    Raises:
        LibraryRefused: it cannot work with this host; the child crashed, exited or took longer than `timeout_s`; or
            `timeout_s` is not above 0.
    """
    file = library_files.locate(path)
    if isinstance(timeout_s, bool) or not isinstance(timeout_s, (int, float)) or not timeout_s > 0:
        raise LibraryRefused(
            f"{os.path.basename(file)} was not opened: its time cannot be {timeout_s!r}",
            hint=f"timeout_s is a number of seconds above 0; {TIMEOUT_S:g} if it is left out.",
            path=file,
        )
    status, answer, errors = _run_child(file, timeout_s)
    if answer is None:
        facts = [("child process", _ending(status, timeout_s)), ("file", file)]
        if errors:
            facts.append(("it wrote", errors[-_TAIL:]))
        raise LibraryRefused(
            f"{os.path.basename(file)} was not opened: a child process that opened it did not survive it",
            facts=facts,
            hint=f"{_HERE} Look at its constructors and at its entry, under a debugger for instance.",
            path=file,
            status=status,
        )
    if "error" in answer:
        error = answer["error"]
        hint = error["hint"].replace("None of its code has run.", "").strip()
        raise LibraryRefused(error["message"], error["facts"], f"{hint} {_HERE}".strip(), path=file)
    return answer


def _run_child(path: str, timeout_s: float) -> tuple[int | None, dict[str, Any] | None, str]:
    """(exit status or None after a timeout, answer or None, stderr) of a child process that opens `path`."""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(entry for entry in sys.path if entry)}
    # Files instead of pipes, since a process started by the library may keep a pipe open. Stdout is left to the
    # library.
    with tempfile.TemporaryFile() as answers, tempfile.TemporaryFile() as errors:
        code = f"from dovetail.registry import isolated; isolated._child({answers.fileno()})"
        child = subprocess.Popen(
            [sys.executable, "-c", code, path],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=errors,
            pass_fds=(answers.fileno(),),
            env=environment,
            start_new_session=True,  # so that processes that it starts are ended with it
        )
        ended = False
        try:
            ended = _has_ended(child, timeout_s)
        finally:  # the child is not reaped yet, so its process group id has not been reused
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(child.pid, signal.SIGKILL)
            code_of_exit = child.wait()
        status = code_of_exit if ended else None
        answers.seek(0)
        text = answers.read()
        errors.seek(0)
        said = errors.read().decode(errors="backslashreplace").strip()
    try:
        answer = json.loads(text) if status == 0 else None
    except ValueError:
        answer = None
    return status, answer, said


def _has_ended(child: subprocess.Popen[bytes], timeout_s: float) -> bool:
    """True if it ends within the time. It stays a zombie until it is waited for."""
    deadline = time.monotonic() + timeout_s
    while os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True


def _ending(status: int | None, timeout_s: float) -> str:
    if status is None:
        return f"had not opened it after {timeout_s:g} s: a constructor or the entry does not return"
    if status < 0:
        return f"died of {signal.Signals(-status).name} while it opened the library"
    return f"ended with exit status {status} while it opened the library"


def _child(writing: int) -> None:
    """Runs in the child: open the library named on the command line and write its description as JSON."""
    try:
        library = library_files.open_library(sys.argv[1])
        specs = library_records.specs_of(library)
        implementations = library_records.implementations_of(library, library.name)
        answer: dict[str, Any] = {
            "name": library.name,
            "version": library.version or "",
            "abi": library_files.abi_text(library.abi),
            "hash": library.hash,
            "path": library.path,
            "ops": [spec.id for spec in specs],
            "implementations": [one.id for one in implementations],
        }
    except DovetailError as error:
        answer = {"error": {"message": error.message, "facts": error.facts, "hint": error.hint}}
    with os.fdopen(writing, "w") as pipe:
        json.dump(answer, pipe)
    os._exit(0)  # without running the library's destructors
