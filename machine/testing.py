"""A test bench for plugins: `check(op, cases)` makes the tests that every op needs from a list of cases.

For each case, each type and each row that this machine can run, the tests check that the output has the inferred dims,
the result agrees with the reference run in float64, nothing outside the outputs was written, the inputs are unchanged,
every element was written, and the reference returns the inferred dims. A scalar formula is compared with the reference.
A row that absorbs is also run with pointwise layers after it.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from unittest import SkipTest

import numpy as np

from dovetail.core.contract import Lookup, OpSpec, SymbolicTensor, parse_op_id
from dovetail.core.errors import DefinitionError, NoImplementation
from dovetail.core.expr import DimsExprs, constraints, input_dim, leaves_of
from dovetail.core.negotiation import FormatRow, Refusal, Trace, negotiate
from dovetail.core.scalar import prove
from dovetail.core.tensor import pack, unpack
from dovetail.core.types import DataType, DeviceType, TensorFormat, from_numpy, nptype
from dovetail.machine.builder.candidates import REFERENCE, is_winograd
from dovetail.machine.builder.graph import Candidate, GraphLayer, GraphTensor, LayerGroup
from dovetail.machine.builder.run_group import prepare
from dovetail.machine.devices import this_target
from dovetail.machine.testing_epilogues import GROWTH, Behind, absorbs, epilogues_for

RED_ZONE = 256  # bytes before and after each buffer
POISON = 0xA5
OF_TRANSFORMS = 64  # what the transforms of Winograd's F(6 x 6, 3 x 3) make of one rounding error; measured: 32


class Case:
    """One set of inputs (arrays, or shapes to fill with seeded values) and fields, by name.

    Case("middle axis", x=(2, 19, 7), axis=1). Keyword `dtypes` restricts the types that the first input runs in, `seed`
    changes the values, `bench=True` lets benchmarks time it. Floating-point inputs that are filled are between `low`
    and `high`, -1 and 1 if not given; of a layer that has fields of these names, they are the fields.
    """

    def __init__(
        self,
        name: str,
        *,
        dtypes: Sequence[DataType] = (DataType.FLOAT,),
        seed: int = 0,
        bench: bool = False,
        low: float | None = None,
        high: float | None = None,
        **named: Any,
    ) -> None:
        self.name, self.dtypes, self.seed, self.bench, self.named = name, tuple(dtypes), seed, bench, named
        self._limits = {"low": low, "high": high}

    def arrays(self, lookup: Lookup, op: str, dtype: DataType) -> tuple[list[np.ndarray | None], dict[str, Any]]:
        """Inputs in port order and field values."""
        spec = lookup.find(*parse_op_id(op))
        rng = np.random.default_rng(self.seed)
        inputs: list[np.ndarray | None] = []
        left = dict(self.named)
        limits = {"low": -1.0, "high": 1.0}
        for name, given in self._limits.items():
            if given is not None:
                (left if spec.field_named(name) else limits)[name] = given
        fill = functools.partial(_filled, rng, limits)
        for port in spec.inputs:
            given = left.pop(port.name, None)
            if given is None or isinstance(given, np.ndarray):
                inputs.append(given)
            elif port.variadic and _is_list(given) and all(map(_is_shape, given)):
                inputs += [fill(tuple(shape), dtype) for shape in given]
            else:
                if port.variadic or not _is_shape(given):
                    hint = "Give a shape, (2, 3), or an array; a list of shapes where an input may repeat."
                    raise self._refuse(spec, f"gives '{port.name}' as {given!r:.80}", hint)
                port_dtype = dtype if not port.types or dtype in port.types else port.types[0]
                inputs.append(fill(tuple(given), port_dtype))
        while inputs and inputs[-1] is None:
            inputs.pop()
        values = spec.defaults()
        for name, value in left.items():
            field = spec.field_named(name)
            if field is None:
                raise self._refuse(spec, f"gives '{name}'", "Name its inputs and fields.")
            values[name] = field.check(spec.id, value)
        return inputs, values

    def _refuse(self, spec: OpSpec, what: str, hint: str) -> DefinitionError:
        facts = [("inputs", ", ".join(p.name for p in spec.inputs)), ("fields", ", ".join(f.name for f in spec.fields))]
        shown = [(left, right or "none") for left, right in facts]
        return DefinitionError(f"case '{self.name}' of {spec.id} {what}", facts=shown, hint=hint)

    def __repr__(self) -> str:
        return self.name


def _filled(
    rng: np.random.Generator, limits: Mapping[str, float], shape: tuple[int, ...], dtype: DataType
) -> np.ndarray:
    if dtype in (DataType.FLOAT, DataType.HALF, DataType.BF16):
        return rng.uniform(limits["low"], limits["high"], shape).astype(np.float32).astype(nptype(dtype))
    if dtype == DataType.BOOL:
        return rng.integers(0, 2, shape).astype(np.bool_)
    span = 100 if nptype(dtype).itemsize == 1 else 1000
    low = 0 if dtype == DataType.UINT8 else -span
    return rng.integers(low, span, shape).astype(nptype(dtype))


def _is_list(given: Any) -> bool:
    return hasattr(given, "__iter__") and not isinstance(given, str)


def _is_shape(given: Any) -> bool:
    return _is_list(given) and all(isinstance(extent, (int, np.integer)) and extent >= 0 for extent in given)


@dataclass(frozen=True)
class _Bench:
    """A layer of one op with concrete inputs, ready to be run by any row."""

    layer: GraphLayer
    arrays: list[np.ndarray | None]


def make_layer(lookup: Lookup, op: str, arrays: Sequence[np.ndarray | None], values: dict[str, Any]) -> GraphLayer:
    """A graph layer with static dims; inputs that are weights or shapes are constants."""
    spec = lookup.find(*parse_op_id(op))
    made = spec.make("check", values)
    symbolic: list[SymbolicTensor | None] = []
    inputs: list[GraphTensor | None] = []
    for index, array in enumerate(arrays):
        if array is None:
            symbolic.append(None)
            inputs.append(None)
            continue
        port = spec.inputs[min(index, len(spec.inputs) - 1)]
        dims, dtype = DimsExprs(array.shape), from_numpy(array.dtype)
        constant = array if port.weights or port.shape else None
        symbolic.append(SymbolicTensor(dims, dtype, port.name, constant))
        ranges = [(array.shape,) * 3]
        inputs.append(GraphTensor(port.name, dims, dtype, ranges, constant=constant))
    layer = GraphLayer("check", spec, values, made, inputs)
    for index, output in enumerate(made.infer(symbolic)):
        dims = tuple(output.dims.evaluate([]))  # data-dependent extents are at their bound
        layer.outputs.append(
            GraphTensor(f"output {index}", output.dims, output.dtype, [(dims, dims, dims)], producer=layer)
        )
    return layer


def rows_of(
    lookup: Lookup, layer: GraphLayer, device: DeviceType = DeviceType.CPU, wanted: str = ""
) -> tuple[list[Candidate], Trace]:
    """Every row that this machine can run for the layer on `device`; on the CPU, the reference included.

    With `wanted`, those of the implementation of that name; no other one is asked.
    """
    trace = Trace()
    found: list[Candidate] = []
    target = this_target(with_gpu=device == DeviceType.GPU)
    descs = [None if tensor is None else tensor.desc(with_data=True) for tensor in layer.tensors]
    for implementation in lookup.implementations_of(layer.spec.id):
        if wanted not in ("", implementation.name):
            continue
        if implementation.device != device:
            trace.refused.append(Refusal(implementation.id, "", -1, f"is not for the {device.name}"))
            continue
        if implementation.native.uses_op_object:
            native_object = layer.op.native.clone()  # type: ignore[attr-defined]
        else:
            native_object = implementation.native.create(layer.name, layer.wire_fields())
        one = Trace()
        negotiate(implementation, native_object, descs, len(layer.inputs), target, one)
        found += [Candidate(row, native_object) for row in one.found]
        trace.refused += one.refused
    return found, trace


def run_row(
    layer: GraphLayer,
    candidate: Candidate,
    arrays: Sequence[np.ndarray | None],
    n_threads: int = 1,
    behind: Behind | None = None,
) -> list:
    """Outputs of one row, checked: red zones, untouched inputs, every element written. With an epilogue, if given."""
    return _Ready(layer, candidate, arrays, n_threads, _Tensors()).run(behind)


class _Tensors:
    """Inputs between red zones, which the rows of a case share: none may write to one."""

    def __init__(self) -> None:
        self._held: dict[tuple[int, Any], tuple[Any, np.ndarray, _Guarded, np.ndarray]] = {}

    def held(self, tensor: GraphTensor, place: Any, array: np.ndarray) -> tuple[Any, np.ndarray, _Guarded, np.ndarray]:
        """(desc, array, buffer with its elements as they lie in the place, a copy of them)."""
        key = id(array), place
        if key not in self._held:
            desc = tensor.desc(0, place)
            guard = _Guarded(desc.allocated_size)
            flat = np.ascontiguousarray(pack(array, place.format)).reshape(-1).view(np.uint8)
            guard.inner[: flat.size] = flat
            self._held[key] = desc, array, guard, guard.inner.copy()
        return self._held[key]


class _Ready:
    """A row made ready to run on these arrays, alone and with layers behind it."""

    def __init__(
        self,
        layer: GraphLayer,
        candidate: Candidate,
        arrays: Sequence[np.ndarray | None],
        n_threads: int,
        tensors: _Tensors,
    ) -> None:
        self._layer, self._candidate, self._n_threads, self._tensors = layer, candidate, n_threads, tensors
        self._packed, self._workspaces = prepare(LayerGroup(layer), candidate, n_threads)
        self._given = list(zip(layer.inputs, candidate.places, arrays, strict=False))
        places = candidate.places[len(layer.inputs) :]
        self._results = [
            tensor.desc(0, place).with_dims(tensor.ranges[0][1])
            for tensor, place in zip(layer.outputs, places, strict=True)
        ]
        self._leaves = leaves_of(*(dim for tensor in layer.outputs for dim in tensor.dims))

    def run(self, behind: Behind | None = None) -> list[np.ndarray]:
        """What `run_row` returns."""
        given = list(self._given)
        if behind is not None:
            place = self._candidate.places[len(self._layer.inputs)]
            places = behind.group.places_of_operands(place, len(behind.formulas))
            given += zip(behind.group.operands, places, behind.operands(), strict=True)
        held = [
            None if tensor is None or place is None or array is None else self._tensors.held(tensor, place, array)
            for tensor, place, array in given
        ]
        results = []
        for poison in (POISON, 0x7F):  # 0x7f7f7f7f is a large float, 0xa5.. a tiny one; what is not written differs
            guards = [_Guarded(desc.allocated_size, poison) for desc in self._results]
            outputs = [(desc, guard.inner) for desc, guard in zip(self._results, guards, strict=True)]
            self._candidate.row.implementation.native.run_step(
                self._candidate.object,
                self._candidate.row.row,
                inputs=[None if one is None else (one[0], one[2].inner) for one in held],
                outputs=outputs,
                packed=self._packed or None,
                workspace_bytes=max(self._workspaces, default=0),
                n_threads=self._n_threads,
                repeat=1,
                epilogue=None if behind is None else behind.program,
                n_operands=0 if behind is None else len(behind.group.operands),
            )
            results.append(self._as_told(outputs))
            for guard in guards:
                guard.check()
        for first, second in zip(*results, strict=True):
            _expect_equal(_bits(first), _bits(second), "an element was not written")
        for one in held:
            if one is not None:
                _expect_equal(one[2].inner, one[3], "an input was changed")
                one[2].check()
        return results[0]

    def _as_told(self, outputs: Sequence[tuple[Any, np.ndarray]]) -> list[np.ndarray]:
        """Arrays of the outputs, with the extents that the kernel wrote."""
        if not self._leaves:
            return [unpack(buffer, desc.dims, desc.dtype, desc.format) for desc, buffer in outputs]
        sizes = {}
        for leaf in self._leaves:
            desc, buffer = outputs[leaf.leaf.axis]
            sizes[leaf] = int(unpack(buffer, desc.dims, desc.dtype, desc.format))
            most = leaf.leaf.upper.evaluate([])
            assert 0 <= sizes[leaf] <= most, f"{leaf} is {sizes[leaf]}, at most {most}"
        results = []
        for tensor, (desc, buffer) in zip(self._layer.outputs, outputs, strict=True):
            real = desc.with_dims([dim.evaluate([], (), sizes) for dim in tensor.dims])
            results.append(unpack(buffer[: real.allocated_size], real.dims, real.dtype, real.format))
        return results


def _expect_equal(got: np.ndarray, wanted: np.ndarray, what: str = "") -> None:
    """`assert_array_equal` in a fraction of its time, where they are equal."""
    if not np.array_equal(got, wanted):
        np.testing.assert_array_equal(got, wanted, what)


def _bits(array: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(array).view(f"u{array.dtype.itemsize}")


class _Guarded:
    """A 64-byte aligned buffer between two red zones."""

    def __init__(self, n_bytes: int, fill: int = 0) -> None:
        raw = np.full(n_bytes + 2 * RED_ZONE + 64, POISON ^ 0xFF, dtype=np.uint8)
        start = RED_ZONE + (-(raw.__array_interface__["data"][0] + RED_ZONE) % 64)
        self._raw, self._start, self._end = raw, start, start + n_bytes
        self.inner = raw[start : start + n_bytes]
        self.inner[:] = fill

    def check(self) -> None:
        for zone in (self._raw[: self._start], self._raw[self._end :]):
            assert (zone == POISON ^ 0xFF).all(), "bytes outside a buffer were written"


def truth(layer: GraphLayer, arrays: Sequence[np.ndarray | None], dtype: Any = np.float64) -> list[np.ndarray]:
    """The reference's outputs, floating inputs widened to `dtype`."""
    wide = [
        array if array is None or not _is_float(array) else array.astype(np.float32).astype(dtype) for array in arrays
    ]
    result = layer.spec.reference(layer.values, *wide)
    return list(result) if isinstance(result, (tuple, list)) else [result]


def _is_float(array: np.ndarray) -> bool:
    return array.dtype.kind == "f" or array.dtype.name in ("bfloat16", "float8_e4m3fn")


class Yardstick:
    """The expected results, computed once for all rows of a case.

    The error of a result may be twice that of the reference in the kernel's own type, plus one unit in the last place
    of the largest result. For ops that sum (no scalar expression), the probabilistic bound of a sum of n products is
    added, u * sqrt(n) * sum |a||b|, because NumPy sums in blocks and a plain kernel does not. Source: Higham & Mary, "A
    new approach to probabilistic rounding error analysis", SISC 2019. n and sum |a||b| are the reference's own answers
    to inputs of ones and to the inputs' absolute values.
    """

    def __init__(self, layer: GraphLayer, arrays: Sequence[np.ndarray | None]) -> None:
        self.layer, self.arrays = layer, arrays
        self.exact = [np.asarray(array) for array in truth(layer, arrays)]
        self._same: dict[Any, list[np.ndarray]] = {}

    def measures(self, layer: GraphLayer, arrays: Sequence[np.ndarray | None]) -> bool:
        """True if it was made for this op and exactly these arrays."""
        pairs = zip(self.arrays, arrays, strict=True)
        return layer.spec is self.layer.spec and all(
            (a is b) if a is None or b is None else a.dtype == b.dtype and a.tobytes() == b.tobytes() for a, b in pairs
        )

    def _in_type(self, dtype: np.dtype) -> list[np.ndarray]:
        own = dtype if dtype.kind == "f" else np.dtype(np.float32)
        if own not in self._same:
            self._same[own] = [np.asarray(array) for array in truth(self.layer, self.arrays, own)]
        return self._same[own]

    def of_sums(self, index: int, unit_roundoff: float, is_transformed: bool = False) -> float:
        """The bound of a sum of products, or of an average, which counts as one; 0 for pointwise ops.

        Sums of transformed inputs may err by more: transforms and their inverse cancel, however few terms there are.
        """
        if self.layer.spec.scalar is not None:
            return 0.0
        ones = [a if a is None or not _is_float(a) else np.ones_like(a) for a in self.arrays]
        sizes = [a if a is None or not _is_float(a) else np.abs(a) for a in self.arrays]
        n_terms = float(np.max(truth(self.layer, ones)[index], initial=1))
        magnitude = float(np.max(truth(self.layer, sizes)[index], initial=0))
        growth = max(n_terms, 1.0) ** 0.5 + (OF_TRANSFORMS if is_transformed else 0.0)
        return unit_roundoff * growth * magnitude

    def check(
        self, got: np.ndarray, index: int = 0, behind: Behind | None = None, is_transformed: bool = False
    ) -> None:
        """Raises AssertionError with the error and the bound; layers that follow may enlarge the bound."""
        exact = self.exact[index] if behind is None else behind.truth(self.exact[index])
        assert got.shape == exact.shape, f"inferred {got.shape}, the reference gives {exact.shape}"
        if not _is_float(got):
            if (got == exact.astype(got.dtype)).all():
                return
            # Rounding may fall either way where the kernel's own type cannot tell; the reference in that type decides.
            same = self._in_type(got.dtype)[index]
            wanted = np.where(got == same.astype(got.dtype), got, exact.astype(got.dtype))
            _expect_equal(got, wanted)
            return
        if exact.size == 0:
            return
        wide, finite = got.astype(np.float64), ...
        with np.errstate(invalid="ignore"):
            error = float(np.abs(wide - exact).max())
        if not np.isfinite(error):  # nor is a value of one of them
            finite, infinite = np.isfinite(exact), np.isinf(exact)
            np.testing.assert_array_equal(np.isnan(wide), np.isnan(exact), "nan in other places")
            np.testing.assert_array_equal(wide[infinite], exact[infinite], "not infinite, or of another sign")
            if not finite.any():
                return
            error = float(np.abs(wide[finite] - exact[finite]).max())
        precision = {2: 10, 4: 23, 8: 52}.get(got.dtype.itemsize, 7) if got.dtype.kind == "f" else 7
        unit = (float(np.abs(exact[finite]).max()) or 1.0) * 2.0**-precision
        if error <= unit:  # allowed however much the reference errs, which takes NumPy seconds to say in float16
            return
        same = self._in_type(got.dtype)[index] if behind is None else behind.truth(self._in_type(got.dtype)[index])
        of_reference = float(np.abs(same[finite].astype(np.float64) - exact[finite]).max())
        allowed = (2 * of_reference + unit) * (1 if behind is None else GROWTH)
        if error > allowed:
            of_sums = self.of_sums(index, 2.0 ** -(precision + 1), is_transformed)
            allowed += of_sums * (1 if behind is None else GROWTH)
        facts = f"allowed {allowed:.3g}, reference {of_reference:.3g}, unit {unit:.3g}"
        assert error <= allowed, f"error {error:.3g}, {facts}"


_last: tuple[Case, Yardstick] | None = None


def _yardstick(case: Case, layer: GraphLayer, arrays: Sequence[np.ndarray | None]) -> Yardstick:
    """What holds for a case, its formula proved; kept for the next check, of other threads or another device.

    References take far longer than kernels: half of the time of the tests of layers was spent on making them again.
    """
    global _last
    if _last is None or _last[0] is not case or not _last[1].measures(layer, arrays):
        prove(layer.spec, layer.values, arrays)
        _last = (case, Yardstick(layer, arrays))
    return _last[1]


def check(op: str, cases: Iterable[Case], lookup: Callable[[], Lookup] | None = None) -> Callable[..., None]:
    """A pytest test over cases x types x devices; inside, every row that fits is run and named if it fails.

    On the CPU with one and with two threads. What runs on the GPU is marked `gpu`: give pytest a marker of that name,
    and deselect it (`-m "not gpu"`) where there is none. Without pytest, a function that runs all of them on the CPU.

    Args:
        op: "acme::Halves@1", or one implementation of it, "acme::Halves@1#acme.fast".

    Raises:
        PluginNotFound, NoImplementation: when it runs, with what exists instead.
    """
    several = _checked(op, cases)
    find = lookup or _default_lookup
    try:
        import pytest
    except ImportError:
        return lambda: check_now(op, several, find())
    devices = [
        pytest.param(DeviceType.CPU, 1, id="1"),
        pytest.param(DeviceType.CPU, 2, id="2"),
        pytest.param(DeviceType.GPU, 1, id="gpu", marks=pytest.mark.gpu),
    ]
    pairs = [pytest.param(case, dtype, id=f"{case.name}-{dtype.name}") for case in several for dtype in case.dtypes]

    @pytest.mark.parametrize(("device", "n_threads"), devices)
    @pytest.mark.parametrize(("case", "dtype"), pairs)
    def test(case: Case, dtype: DataType, device: DeviceType, n_threads: int) -> None:
        check_case(find(), op, case, dtype, n_threads, device)

    return test


def check_now(
    op: str, cases: Iterable[Case], lookup: Lookup | None = None, device: DeviceType = DeviceType.CPU
) -> None:
    """What `check` tests, at once and on one device: for scripts, and where pytest is not installed.

    Raises:
        AssertionError: the first case that fails, with its row.
        PluginNotFound, NoImplementation: there is nothing to test; what exists is listed.
    """
    for case in _checked(op, cases):
        for dtype in case.dtypes:
            for n_threads in (1, 2):
                try:
                    check_case(lookup or _default_lookup(), op, case, dtype, n_threads, device)
                except AssertionError as error:
                    raise AssertionError(f"case '{case.name}', {dtype.name}: {error}") from error


def _checked(op: Any, cases: Any) -> list[Case]:
    """The cases, if they are some. Raises DefinitionError: a test of nothing would always pass."""
    if not isinstance(op, str) or not op:
        spec = getattr(op, "dovetail_spec", None)
        known = f', here "{spec.id}"' if isinstance(spec, OpSpec) else ', such as "acme::Halves@1"'
        raise DefinitionError(f"check cannot take {op!r} as an op", hint=f"Give its name{known}.", got=op)
    several = list(cases) if isinstance(cases, Iterable) and not isinstance(cases, str) else [cases]
    wrong = [case for case in several if not isinstance(case, Case)]
    if isinstance(cases, Case) or wrong or not several:
        raise DefinitionError(
            f"check of {op} takes a list of cases",
            facts=[("got", f"{(wrong or cases)!r:.100}")],
            hint='Write [Case("odd", x=(3, 7))], one for each shape to be tested.',
            got=cases,
        )
    for case in several:
        if not case.dtypes:
            raise DefinitionError(f"case '{case.name}' of {op} has no dtypes", hint="Leave them out, or name some.")
    return several


def _default_lookup() -> Lookup:
    from dovetail.registry.loader import default_registry

    return default_registry()


def check_case(
    lookup: Lookup,
    op: str,
    case: Case,
    dtype: DataType = DataType.FLOAT,
    n_threads: int = 1,
    device: DeviceType = DeviceType.CPU,
) -> int:
    """Run one case through every row of `device` that fits; their number. Skips, with the reasons, if none does.

    On several threads without the reference, unless nothing else fits.

    Raises:
        PluginNotFound, NoImplementation: no such op, or no such implementation of it.
        unittest.SkipTest: nothing fits, as pytest and unittest take it.
    """
    op, _, wanted = op.partition("#")
    arrays, values = case.arrays(lookup, op, dtype)
    layer = make_layer(lookup, op, arrays, values)
    _check_offered(lookup, layer, wanted)
    candidates, trace = rows_of(lookup, layer, device, wanted)
    if not candidates:
        raise SkipTest("; ".join(map(str, trace.refused)))
    _check_dynamic_dims(layer, arrays)
    yardstick, tensors = _yardstick(case, layer, arrays), _Tensors()
    epilogues = epilogues_for(layer) if any(map(absorbs, candidates)) else {}
    compiled = [one for one in candidates if one.row.implementation.name != REFERENCE]
    for candidate in compiled if compiled and n_threads > 1 else candidates:  # NumPy computes the same on one thread
        ready = _Ready(layer, candidate, arrays, n_threads, tensors)
        try:
            for index, got in enumerate(ready.run()):
                yardstick.check(got, index, None, is_winograd(candidate))
        except AssertionError as error:
            raise AssertionError(f"{describe(candidate.row)}: {error}") from error
        if absorbs(candidate):
            _check_absorbed(candidate, ready, epilogues, yardstick)
    return len(candidates)


def _check_absorbed(candidate: Candidate, ready: _Ready, epilogues: Mapping[str, Behind], yardstick: Yardstick) -> None:
    """Run a row that computes pointwise layers behind its own with those of `EPILOGUES` that it takes."""
    for name, behind in epilogues.items():
        if not behind.is_absorbed(candidate):
            continue
        try:
            yardstick.check(ready.run(behind)[0], 0, behind, is_winograd(candidate))
        except AssertionError as error:
            raise AssertionError(f"{describe(candidate.row)} with {name} behind it: {error}") from error


def _check_offered(lookup: Lookup, layer: GraphLayer, wanted: str) -> None:
    """Is there an implementation of that name, or any at all? Nothing to test is not a test that passed."""
    offered = [one.name for one in lookup.implementations_of(layer.spec.id)]
    if wanted in offered or (offered and not wanted):
        return
    raise NoImplementation(
        f"{layer.spec.id} has no implementation" + (f" '{wanted}'" if wanted else ", so that nothing can be tested"),
        facts=[("implementations", ", ".join(offered) or "none")],
        hint="Load the library that has it first: registry.load_library(path)."
        if wanted or layer.spec.reference
        else "Write a reference or an enqueue, or load a library with kernels.",
        op=layer.spec.id,
    )


def _check_dynamic_dims(layer: GraphLayer, arrays: Sequence[np.ndarray | None]) -> None:
    """With the first extent of the first input unknown, the inferred expressions evaluate to the concrete dims."""
    symbolic: list[SymbolicTensor | None] = []
    inputs: list[list[int]] = []
    for tensor, array in zip(layer.inputs, arrays, strict=True):
        if tensor is None or array is None:
            symbolic.append(None)
            inputs.append([])
            continue
        inputs.append(list(array.shape))
        dims: list[Any] = list(array.shape)
        if len(inputs) == 1 and dims and not tensor.is_constant:
            dims[0] = input_dim(0, 0, "d0")
        symbolic.append(SymbolicTensor(DimsExprs(dims), tensor.dtype, tensor.name, tensor.constant))
    with constraints() as found:
        outputs = layer.op.infer(symbolic)
    for constraint in found:
        assert constraint.condition.evaluate(inputs), constraint.text
    for inferred, output in zip(outputs, layer.outputs, strict=True):
        assert tuple(inferred.dims.evaluate(inputs)) == output.ranges[0][1]


def describe(row: FormatRow) -> str:
    formats = " ".join("-" if f is None else TensorFormat(f).name for f in row.formats)
    return f"{row.label} {formats}"
