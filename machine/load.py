"""`dovetail.load`: a model or a plan as a function of arrays."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from dovetail.core.errors import BindingError, DefinitionError, DTypeError, ProfileError
from dovetail.core.strict import Strict
from dovetail.core.types import DeviceType
from dovetail.machine.config import IBuilderConfig
from dovetail.machine.context import IExecutionContext
from dovetail.machine.engine import ICudaEngine
from dovetail.machine.logger import ILogger, Logger, checked
from dovetail.machine.model_engine import ModelEngine
from dovetail.machine.model_source import Source
from dovetail.machine.runtime import Runtime
from dovetail.machine.settings import integer, yes_or_no
from dovetail.machine.streams import Streams


def load(
    model: Any,
    *,
    shapes: Mapping[str, Any] | None = None,
    cache: str | os.PathLike[str] | None = None,
    device: DeviceType | str | None = None,
    configure: Callable[[IBuilderConfig], Any] | None = None,
    logger: ILogger | None = None,
    throughput: bool = False,
) -> Model:
    """A model or a plan, ready to be called: `y = dovetail.load("model.onnx")(x)`.

    A model whose extents are all known is built at once. Others are built for `shapes`, or for the shapes of the first
    call, and built again with wider ranges when a call does not fit (logged as INFO).

    Args:
        model: path of an ONNX model or of a plan, its bytes, or an `onnx.ModelProto`.
        shapes: by input, a shape or (min, opt, max); for a shape input, its contents.
        cache: a folder, or a file that ends in .plan. The plan is stored there, and loaded from there as long as the
            model's contents, the version of dovetail, the machine, the settings and the loaded plugins are the same.
            With a calibrator, only if that has a cache of its own.
        device: "cpu" or "gpu"; None is the default device.
        configure: called with the `IBuilderConfig`, for flags, precision, limits and threads of the build.
        logger: None: one that writes warnings to standard error.
        throughput: for many calls at once, by `model.map` or by threads of yours: on the CPU each call computes on its
            own thread alone, and the build measures that. Otherwise a call is as fast as all cores together make it.

    Raises:
        FileNotFoundError: there is no such file.
        DefinitionError: the model cannot be imported, or `shapes` does not fit it.
        BuildError: it cannot be built as asked.
        PlanError: the plan cannot be used here.
        DTypeError: an argument has the wrong type.
    """
    _check(
        "cache", cache, isinstance(cache, (str, os.PathLike)), 'a folder, or a file that ends in .plan: cache="plans"'
    )
    _check("configure", configure, callable(configure), "a function of an IBuilderConfig: configure=set_flags")
    log_to = Logger() if logger is None else checked(logger)
    for_many = yes_or_no("load(throughput)", throughput)
    return Model(Source(model), shapes, cache, device, configure, log_to, for_many)


def _check(name: str, value: Any, is_one: bool, allowed: str) -> None:
    if value is not None and not is_one:
        raise DTypeError(f"load({name}) cannot be {value!r:.80}", facts=[("allowed", allowed)], got=value)


class Model(Strict):
    """A model or plan that is called with arrays. Made by `dovetail.load`.

    `model(x)`, `model(a, b)` in the order of `inputs`, `model(x=a)` or `model({"x": a})` by name. One output comes back
    as an array, several as a dict by name, in the model's order. Inputs of a type that networks lack (DOUBLE ...)
    are converted to the type that represents it, and the import warns. Any number of threads may call it at once: each
    has its own context, kept as long as the thread lives, and waits while another thread builds.
    """

    def __init__(
        self,
        source: Source,
        shapes: Mapping[str, Any] | None,
        cache: str | os.PathLike[str] | None,
        device: DeviceType | str | None,
        configure: Callable[[IBuilderConfig], Any] | None,
        logger: ILogger,
        throughput: bool,
    ) -> None:
        self._source = source
        self._local = threading.local()
        self._streams = Streams(f"dovetail {source.title}")
        self._n_streams = Runtime(logger).max_threads if throughput else 1
        self._own = ModelEngine(source, shapes, cache, device, configure, logger, int(throughput))

    # ---- what it is
    @property
    def inputs(self) -> list[str]:
        """Names of the inputs, in the model's order."""
        return self._own.inputs

    @property
    def outputs(self) -> list[str]:
        """Names of the outputs, in the model's order."""
        return self._own.outputs

    @property
    def engine(self) -> ICudaEngine | None:
        """The engine that runs now; None before the first call of a model whose extents are not known."""
        return self._own.engine

    def report(self, layer: str | None = None) -> str:
        """The build report: what runs, in which formats, how long it took, what lost and why.

        Raises:
            DefinitionError: nothing has been built yet.
        """
        return self._built().report(layer)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the plan that runs now. Raises DefinitionError if nothing has been built yet."""
        self._built().serialize().save(path)

    def _built(self) -> ICudaEngine:
        if self._own.engine is None:
            raise DefinitionError(
                f"{self!r} has not been built yet: extents of its inputs are not known",
                hint="Call it once, or give them: dovetail.load(model, shapes={...}).",
            )
        return self._own.engine

    def __repr__(self) -> str:
        return f"<dovetail model '{self._source.title}': {', '.join(self.inputs)} -> {', '.join(self.outputs)}>"

    # ---- calls
    def __call__(self, *arrays: Any, **named: Any) -> Any:
        """The outputs for these inputs: an array, or several by name.

        Raises:
            BindingError: an input is missing or unknown, or a type or shape does not fit.
            ProfileError: an extent is outside the range that a plan was built for.
            BuildError: the model cannot be built for these shapes.
        """
        results = None if named else self._run_in_order(arrays)
        if results is None:
            results = self._run(self._by_name(arrays, named))
        return next(iter(results.values())) if len(results) == 1 else results

    def map(self, inputs: Iterable[Any], streams: int | None = None) -> Iterator[Any]:
        """The outputs for each of many inputs, in their order: `for y in model.map(batches): ...`.

        Each item is an array, a tuple of arrays in the order of `inputs`, or a dict by name. A few items more than
        run at once are taken from `inputs` ahead of time, and no more.

        Args:
            streams: how many calls run at once, each on a thread and with a context of its own. None: one for each core
                that the process may use, if the model was loaded with `throughput=True`; else one.

        Raises:
            as a call does, where the result of the item would come; the items behind it are given up.
            FieldValueError: `streams` is not a number from 1 to 1024.
            DTypeError: `inputs` is one input, or nothing that has items.
        """
        n_streams = self._n_streams if streams is None else integer(1, 1024)("map(streams)", streams)
        return self._streams.map(self._of_item, _items_of(inputs), n_streams)

    def _of_item(self, item: Any) -> Any:
        return self(*item) if isinstance(item, tuple) else self(item)

    def _run_in_order(self, arrays: tuple[Any, ...]) -> dict[str, Any] | None:
        """Run in this thread's context. None if it has none, or if the arrays do not fit."""
        local = self._local.__dict__
        context = local.get("context")
        if context is None or local["engine"] is not self._own.engine or len(arrays) != local["n_inputs"]:
            return None
        if len(arrays) == 1 and isinstance(arrays[0], Mapping):
            return None
        try:
            return context.run(arrays)
        except (BindingError, ProfileError):  # `_run` tries again, or raises the error
            return None

    def _run(self, inputs: Mapping[str, Any]) -> dict[str, Any]:
        """Run on inputs by name. Builds again if they do not fit; converts types that networks lack."""
        if self._own.engine is None:
            self._own.fit(inputs, None)
        while True:
            engine = self._own.engine
            try:
                return self._context(engine).run(inputs)
            except ProfileError:
                if not self._own.fit(inputs, engine):
                    raise
            except BindingError:
                carried = self._source.carried(inputs)
                if carried is None:
                    raise
                inputs = carried

    def _by_name(self, arrays: tuple[Any, ...], named: dict[str, Any]) -> Mapping[str, Any]:
        if len(arrays) == 1 and not named and isinstance(arrays[0], Mapping):
            given = dict(arrays[0])
        else:
            given = dict(zip(self.inputs, arrays, strict=False)) | named
        twice = [name for name in self.inputs[: len(arrays)] if name in named]
        missing = [name for name in self.inputs if name not in given]
        unknown = [str(name) for name in given if name not in self.inputs]
        if len(arrays) > len(self.inputs):
            unknown += [f"array {index + 1}" for index in range(len(self.inputs), len(arrays))]
        wrong = {"missing": missing, "unknown": unknown, "given twice": twice}
        if any(wrong.values()):
            raise BindingError(
                "the inputs given are not those of the model",
                facts=[(what, ", ".join(names)) for what, names in wrong.items() if names]
                + [("inputs", ", ".join(self.inputs))],
            )
        return given

    def _context(self, engine: ICudaEngine | None) -> IExecutionContext:
        assert engine is not None
        local = self._local
        if getattr(local, "engine", None) is not engine:
            context = engine.create_execution_context()
            local.engine, local.context, local.n_inputs = engine, context, len(self.inputs)
        return local.context


def _items_of(inputs: Iterable[Any]) -> Iterator[Any]:
    try:
        if not isinstance(inputs, (Mapping, str, bytes)):
            return iter(inputs)
    except TypeError:
        pass
    raise DTypeError(
        f"map takes an iterable of inputs, got {type(inputs).__name__}",
        hint="Give a list or a generator of them. For one input, call the model: model(x).",
        got=inputs,
    )
