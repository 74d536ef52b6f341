"""`Runtime`: makes engines from plans."""

from __future__ import annotations

from typing import Any

from dovetail import _native
from dovetail.core.arguments import whole
from dovetail.core.contract import Lookup, parse_op_id
from dovetail.core.errors import BuildError, DTypeError, PluginNotFound
from dovetail.core.failures import failed, last_error, returns_on_error
from dovetail.machine import absent
from dovetail.machine.config_settings import refuse_dla
from dovetail.machine.engine import ICudaEngine
from dovetail.machine.logger import ILogger, Reporting, checked
from dovetail.machine.plan import check_is_plan
from dovetail.machine.settings import Setting, integer, yes_or_no


class Runtime(Reporting):
    """Turns plans into engines."""

    gpu_allocator = Setting(None, None, "memory comes from the device's own allocator.")
    engine_host_code_allowed = Setting(False, yes_or_no)  # without effect, since a plan never holds code
    _absent = absent.RUNTIME
    _max_threads = 0
    _spin_microseconds = -1
    _pin_threads = -1

    def __init__(self, logger: ILogger, lookup: Lookup | None = None) -> None:
        self.logger = checked(logger)
        if lookup is None:
            from dovetail.registry.loader import default_registry

            lookup = default_registry()
        self._lookup = lookup

    @property
    def max_threads(self) -> int:
        """Threads of engines for the CPU: the number that was set, else as many as this process may use."""
        return self._max_threads or _native.default_threads()

    @max_threads.setter
    def max_threads(self, number: int) -> None:
        self._max_threads = integer(0, 1024)("Runtime.max_threads", number)

    @property
    def spin_microseconds(self) -> int | None:
        """How long a thread of a CPU engine waits actively for the next layer or run before it sleeps.

        Waking a sleeping thread takes 15 to 20 microseconds, an active one less than one, but that one uses its core.
        0 saves the most energy. None, the default: `DOVETAIL_SPIN_US`, else 200. For engines deserialized afterwards.
        """
        return None if self._spin_microseconds < 0 else self._spin_microseconds

    @spin_microseconds.setter
    def spin_microseconds(self, number: int | None) -> None:
        check = integer(0, 1_000_000)
        self._spin_microseconds = -1 if number is None else check("Runtime.spin_microseconds", number)

    @property
    def pin_threads(self) -> bool | None:
        """True: each thread of a CPU engine, but for the one that calls it, stays on a core of its own.

        For machines that run nothing else. None, the default: `DOVETAIL_PIN_THREADS`, else False. For engines
        deserialized afterwards.
        """
        return None if self._pin_threads < 0 else bool(self._pin_threads)

    @pin_threads.setter
    def pin_threads(self, value: bool | None) -> None:
        self._pin_threads = -1 if value is None else int(yes_or_no("Runtime.pin_threads", value))

    def deserialize_cuda_engine(self, serialized_engine: Any, device: int = -1) -> ICudaEngine | None:
        """An engine from a plan: anything with the buffer protocol, or the path of a file, which is mapped.

        A mapped file must not be changed or truncated in place while the engine lives; it may be replaced, as
        `plan.save` does.

        Args:
            device: for a plan for the GPU, its index; -1 is the calling thread's current device, as returned by
                cudaGetDevice.

        Raises, or returns None (see `raise_on_error`):
            PlanCorrupt, PlanVersionError: damaged, foreign, or made for another kind of machine.
            PluginNotFound: the plan needs a plugin that is not loaded; the message says which one and how to get it.
            DTypeError: it is something else.
            BuildError: `serialized_engine` is None, the result of a build that failed. It is not raised here: the
                object returned is false and raises it on use, with the error of the build in its text.
        """
        if serialized_engine is None:
            error = _no_plan()
            return failed(self, error, NoEngine(error))
        return self._deserialize(serialized_engine, device)

    @returns_on_error(None)
    def _deserialize(self, plan: Any, device: int) -> ICudaEngine:
        if isinstance(plan, ICudaEngine):
            raise DTypeError(
                f"a plan cannot be {plan!r:.200}",
                hint="An engine needs no deserializing: builder.build_engine returns one that is ready.",
                got=plan,
            )
        check_is_plan(plan)
        device = whole("the device of an engine", device)
        try:
            return ICudaEngine(plan, self._max_threads, device, self.logger, self._spin_microseconds, self._pin_threads)
        except PluginNotFound as error:
            closed = self._lookup.why_closed(dict(error.facts).get("library", ""))
            error.facts += [("not opened", closed)] if closed else self._left_out(getattr(error, "op", ""))
            raise

    def _left_out(self, op: str) -> list[tuple[str, str]]:
        """Plugins that are installed but blocked, failed, or in a library that is not loaded."""
        near = self._lookup.near_misses(*parse_op_id(op)) if op else []
        return [(what, why) for what, why in near if why.startswith("known, ") or why.endswith("not loaded")]

    def get_plugin_registry(self) -> Lookup:
        return self._lookup

    @property
    def DLA_core(self) -> int:  # noqa: N802  TensorRT's spelling
        """-1: DLAs are not supported. Setting another value raises DefinitionError."""
        return -1

    @DLA_core.setter
    def DLA_core(self, core: int) -> None:  # noqa: N802
        refuse_dla(core)

    @property
    def num_DLA_cores(self) -> int:  # noqa: N802  TensorRT's spelling
        return 0


class NoEngine:
    """The result of deserializing None: false, and an error on every use."""

    def __init__(self, error: BuildError) -> None:
        self._error = error

    def __bool__(self) -> bool:
        return False

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        raise self._error

    def __enter__(self) -> Any:
        raise self._error

    def __exit__(self, *_: object) -> None:
        """Never reached."""

    def __repr__(self) -> str:
        return "<no engine: there was no plan>"


def _no_plan() -> BuildError:
    cause = last_error()
    error = BuildError(
        "there is no plan to deserialize: None was given, as a build that fails returns",
        facts=[] if cause is None else [("last error", f"{type(cause).__name__}: {cause}")],
        hint="trt.raise_on_error(True) raises the error where it happens.",
    )
    error.__cause__ = cause
    return error
