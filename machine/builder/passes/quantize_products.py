"""Quantised networks: what stands between dequantise and quantise layers works on the stored integers.

DQ(x) and DQ(kernel) -> convolution or product -> additions of a bias, limits -> Q becomes one layer that sums products
of integers and gives those of Q. real = (stored - zero) * scale on both sides, so the result is the same but for
rounding, by which a number in the middle of two steps may become either of them. The same for an addition of two
tensors, which a convolution in front of it does where nothing else takes what that gives. Where no quantise layer
follows, the sums become float32. Sums in int32 that are converted and scaled, as dynamic quantisation has them, become
float32 at once.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from dovetail.core.errors import DefinitionError
from dovetail.core.scalar import Apply, Name, Number, Term, resolved
from dovetail.core.types import DataType, DeviceType
from dovetail.machine.builder.build import Build
from dovetail.machine.builder.graph import Graph, GraphLayer, GraphTensor
from dovetail.machine.builder.origins import folded
from dovetail.machine.builder.quantized_tensors import Stored, dequantized, vector_of

NONE, TRANSPOSE = 0, 1  # how a product sees its inputs
MOST = 2.0**31  # of a bias, in steps of the sums


def quantize_products(graph: Graph, build: Build) -> Graph:
    """Replace these patterns on the CPU; layers that the config names stay."""
    found = _Patterns(graph, build)
    for layer in list(graph.all_layers()):
        if layer.device == DeviceType.CPU and found.may_change(layer):
            found.replace(layer)
    graph.drop_dead_layers()
    return graph


@dataclass
class _Chain:
    """What follows a layer up to a quantise layer: a bias in real numbers, limits, and the last layer of them."""

    last: GraphLayer
    bias: Any = None
    low: float = -np.inf
    high: float = np.inf
    quantize: GraphLayer | None = None


class _Patterns:
    def __init__(self, graph: Graph, build: Build) -> None:
        self.graph, self.build = graph, build
        self.n_profiles = len(graph.inputs[0].ranges) if graph.inputs else 1
        self.takers: dict[GraphTensor, list[GraphLayer | None]] = {}
        for block in graph.each_block():
            for layer in block.layers:
                for tensor in layer.inputs:
                    if tensor is not None:
                        self.takers.setdefault(tensor, []).append(layer)
            for tensor in block.outputs:
                self.takers.setdefault(tensor, []).append(None)

    def may_change(self, layer: GraphLayer) -> bool:
        return layer.precision is None and self.build.config.pinned_implementation(layer.name) is None

    def replace(self, layer: GraphLayer) -> None:
        role = layer.spec.role
        if role == "convolution":
            self._convolution(layer)
        elif role == "matrix product":
            self._product(layer)
        elif role in ("quantized product", "quantized convolution"):
            self._scaled_sums(layer)
        elif _term(layer) == Apply("+", (Name("x0"), Name("x1"))):
            self._addition(layer)

    def chain(self, layer: GraphLayer, axis: int = 0) -> _Chain:
        """`axis`, counted from the end, is that of a bias which an addition may bring; 0: there is none."""
        chain = _Chain(layer)
        while True:
            made = chain.last.outputs[0]
            taking = self.takers.get(made, [])
            layer = taking[0] if len(taking) == 1 else None
            if layer is None or not self.may_change(layer) or layer.device != DeviceType.CPU:
                return chain
            if layer.spec.role in ("quantize", "affine quantize"):
                chain.quantize = layer if _steps_of(layer) is not None else None
                return chain
            limits = _limits(layer)
            if limits is not None:
                chain.low, chain.high = (min(max(v, limits[0]), limits[1]) for v in (chain.low, chain.high))
            elif axis and chain.bias is None and chain.low == -np.inf and chain.high == np.inf:
                chain.bias = _added(layer, made, axis)
                if chain.bias is None:
                    return chain
            else:
                return chain
            chain.last = layer

    # ---- convolution and product

    def _convolution(self, layer: GraphLayer) -> None:
        x, kernel = (dequantized(tensor) for tensor in layer.inputs[:2])
        bias = layer.inputs[2] if len(layer.inputs) > 2 else None
        if x is None or kernel is None or not x.has_one_scale or (bias is not None and bias.constant is None):
            return
        found = kernel.as_int8(axis=0)
        if found is None or found[0].ndim != 4 or len(layer.outputs[0].dims) != 4:
            return
        integers, zero = found
        fields = {field.name: layer.values[field.name] for field in layer.spec.fields if field.name in layer.values}
        if zero and not _may_have_zero(fields, integers):
            return
        chain = self.chain(layer)
        if chain.quantize is None and not x.is_affine and kernel.has_one_scale and not zero:
            return  # that is what `absorb_quantization` is for
        chain.bias = None if bias is None else bias.constant
        is_stored = integers is kernel.tensor.constant
        stored = kernel.tensor if is_stored else self._constant(layer, "kernel", integers, kernel)
        more = [self._constant(layer, "kernel's zero", np.int8([zero]), kernel)] if zero else []

        def inputs(factor: Any, bias: Any, zero: Any) -> list[GraphTensor | None]:
            return [x.tensor, stored, bias, x.zero, factor, zero, *more]

        self._finish(layer, "quantized convolution", chain, (x, kernel), fields, inputs)

    def _product(self, layer: GraphLayer) -> None:
        a, b = (dequantized(tensor) for tensor in layer.inputs[:2])
        ops = [int(layer.values[name]) for name in ("op0", "op1")]
        if a is None or b is None or not a.has_one_scale or ops[0] != NONE or ops[1] not in (NONE, TRANSPOSE):
            return
        rank = len(a.tensor.dims)
        if rank < 2 or rank != len(b.tensor.dims):
            return
        zero, right = b.zero, b.tensor
        if b.tensor.constant is not None:
            turned = b.tensor.constant.swapaxes(-1, -2) if ops[1] == TRANSPOSE else b.tensor.constant
            if not b.has_one_scale and b.axis != rank - (2 if ops[1] == TRANSPOSE else 1):
                return
            if turned is not b.tensor.constant:
                right = self._constant(layer, "b", turned, b)
        elif ops[1] == TRANSPOSE or not b.has_one_scale:
            return
        chain = self.chain(layer, -1)

        def inputs(factor: Any, bias: Any, y_zero: Any) -> list[GraphTensor | None]:
            return [a.tensor, right, a.zero, zero, factor, bias, y_zero]

        self._finish(layer, "quantized product", chain, (a, b), {}, inputs)

    def _finish(
        self,
        layer: GraphLayer,
        role: str,
        chain: _Chain,
        sides: tuple[Stored, Stored],
        fields: dict[str, Any],
        inputs: Callable[[Any, Any, Any], list[GraphTensor | None]],
    ) -> None:
        a, b = sides
        with np.errstate(over="ignore"):
            factor = np.float32(a.scales.reshape(())) * b.scales.astype(np.float32)
        old = chain.last
        more: dict[str, Any] = {"to_type": DataType.FLOAT}
        bias, y_zero = chain.bias, None
        if chain.quantize is not None:
            step, zero = _steps_of(chain.quantize)  # type: ignore[misc]
            old = chain.quantize
            to = old.outputs[0].dtype
            if bias is not None:
                steps = np.rint(bias.astype(np.float64) / factor.astype(np.float64))
                if not (np.abs(steps) < MOST).all():
                    return
                bias = steps.astype(np.int32)
            low, high = (int(v) for v in _stored_limits(chain, step, int(zero), to))
            more = {"to_type": to, "low": low, "high": high}
            factor = _ratio(factor, step)
            y_zero = self._constant(layer, "zero", np.asarray(zero), None) if zero else None
        elif chain.low != -np.inf or chain.high != np.inf:
            return  # limits of float32 are a layer of their own; it is absorbed later if a kernel can
        elif bias is not None:
            bias = bias.astype(np.float32)
        count = _columns(layer, role)
        if count is None or factor.size not in (1, count) or not np.isfinite(factor).all():
            return
        factors = self._constant(layer, "factor", factor.reshape(-1), b)
        biases: GraphTensor | None = None
        if bias is not None:
            biases = self._constant(layer, "bias", np.broadcast_to(bias.reshape(-1), (count,)), None)
        op = self.graph.lookup.with_role(role).id
        new = self.graph.substitute(old, op, inputs(factors, biases, y_zero), **fields, **more)
        new.name = layer.name
        self.graph.notes.append(f"{layer.label} works on integers of 8 bits, as the layers that quantise around it did")

    # ---- additions

    def _addition(self, layer: GraphLayer) -> None:
        a, b = (dequantized(tensor) for tensor in layer.inputs[:2])
        chain = self.chain(layer)
        if a is None or b is None or chain.quantize is None or not a.has_one_scale or not b.has_one_scale:
            return
        dims = [tensor.dims for tensor in (a.tensor, b.tensor, layer.outputs[0])]
        if any(len(one) != len(dims[2]) for one in dims):
            return
        if not all(x.same(y) for one in dims[:2] for x, y in zip(one, dims[2], strict=True)):
            return
        if a.tensor.constant is not None or b.tensor.constant is not None:
            return
        step, zero = _steps_of(chain.quantize)  # type: ignore[misc]
        to = chain.quantize.outputs[0].dtype
        low, high = _stored_limits(chain, step, int(zero), to)
        factors = [float(_ratio(one.scales.reshape(()), step)) for one in (a, b)]
        if not np.isfinite(factors).all():
            return
        if self._add_to_convolution(layer, chain.quantize, (a, b), factors, (int(zero), int(low), int(high))):
            return
        op = self.graph.lookup.with_role("quantized addition").id
        new = self.graph.substitute(
            chain.quantize,
            op,
            [a.tensor, b.tensor],
            a_zero=a.zero_value,
            b_zero=b.zero_value,
            y_zero=int(zero),
            a_factor=factors[0],
            b_factor=factors[1],
            to_type=to,
            low=int(low),
            high=int(high),
        )
        new.name = layer.name

    def _add_to_convolution(
        self, layer: GraphLayer, last: GraphLayer, sides: Any, factors: list[float], sum_: tuple[int, int, int]
    ) -> bool:
        """Let the convolution that makes one side, for nothing else, add the other; the later of two."""
        to = last.outputs[0].dtype
        if any(side.tensor.dtype != to for side in sides):
            return False
        order = {made: index for index, made in enumerate(self.graph.all_layers())}
        own = [index for index in (0, 1) if self._is_convolved_for(sides[index].tensor, layer)]
        if not own:
            return False
        side = max(own, key=lambda index: order.get(sides[index].tensor.producer, -1))
        convolution, other = sides[side].tensor.producer, sides[1 - side]
        absent: list[GraphTensor | None] = [None] * (len(convolution.spec.inputs) - 1 - len(convolution.inputs))
        new = self.graph.substitute(
            last,
            convolution.spec.id,
            [*convolution.inputs, *absent, other.tensor],
            **convolution.values
            | {"by_own": factors[side], "by_addend": factors[1 - side], "addend_zero": other.zero_value}
            | {"sum_zero": sum_[0], "sum_low": sum_[1], "sum_high": sum_[2]},
        )
        new.name = f"{convolution.name} + {layer.name}"
        return True

    def _is_convolved_for(self, tensor: GraphTensor, layer: GraphLayer) -> bool:
        """True if a convolution that adds nothing yet makes these integers, for `layer` alone."""
        made = tensor.producer
        if made is None or made.spec.role != "quantized convolution" or len(made.inputs) == len(made.spec.inputs):
            return False
        if made.device != DeviceType.CPU or not self.may_change(made):
            return False
        fronts = self.takers.get(tensor, [])
        if len(fronts) != 1 or fronts[0] is None or fronts[0].spec.role not in ("dequantize", "affine dequantize"):
            return False
        return self.takers.get(fronts[0].outputs[0]) == [layer]

    # ---- sums that are scaled

    def _scaled_sums(self, layer: GraphLayer) -> None:
        """int32 -> float32 -> times a factor -> plus a bias."""
        if layer.outputs[0].dtype != DataType.INT32:
            return
        axis = -1 if layer.spec.role == "quantized product" else -3
        cast = self._next(layer)
        if cast is None or cast.outputs[0].dtype != DataType.FLOAT or _term(cast) != Name("x0"):
            return
        scaled = self._next(cast)
        factor = None if scaled is None else self._operand(scaled, "*", cast.outputs[0], axis)
        if scaled is None or factor is None or _is_finished(layer):
            return
        last, bias = scaled, None
        added = self._next(scaled)
        if added is not None:
            bias = self._operand(added, "+", scaled.outputs[0], axis)
            last = last if bias is None else added
        names = [port.name for port in layer.spec.inputs]
        inputs: list[GraphTensor | None] = [*layer.inputs, *[None] * (len(names) - len(layer.inputs))]
        inputs[names.index("factor")], inputs[names.index("bias")] = factor, bias
        fields = {**layer.values, "to_type": DataType.FLOAT}
        new = self.graph.substitute(last, layer.spec.id, inputs, **fields)
        new.name = layer.name

    def _next(self, layer: GraphLayer) -> GraphLayer | None:
        taking = self.takers.get(layer.outputs[0], [])
        layer = taking[0] if len(taking) == 1 else None  # type: ignore[assignment]
        if layer is None or layer.device != DeviceType.CPU or not self.may_change(layer):
            return None
        return layer

    def _operand(self, layer: GraphLayer, function: str, made: GraphTensor, axis: int) -> GraphTensor | None:
        """The other input of an operation of two, if it has one value or one for each element of the axis."""
        if _term(layer) not in (Apply(function, (Name("x0"), Name("x1"))), Apply(function, (Name("x1"), Name("x0")))):
            return None
        other = layer.inputs[1] if layer.inputs[0] is made else layer.inputs[0]
        if other is None or other.dtype != DataType.FLOAT or other is made:
            return None
        return vector_of(other, made.dims, axis, self.n_profiles)

    def _constant(self, layer: GraphLayer, what: str, array: np.ndarray, of: Stored | None) -> GraphTensor:
        origin = None if of is None else folded(layer.name, layer.label, "quantize_products", True, [of.tensor.origin])
        return GraphTensor.of_array(f"{what} of {layer.name}", array, self.n_profiles, origin=origin)


def _may_have_zero(fields: dict[str, Any], kernel: np.ndarray) -> bool:
    """True if kernels take a zero point: without groups, or with one for each channel and no dilation."""
    groups = int(fields["num_groups"])
    is_depthwise = groups == kernel.shape[0] and kernel.shape[1] == 1 and kernel[0].size > 1
    return groups == 1 or (is_depthwise and all(step == 1 for step in fields["dilation_nd"]))


def _is_finished(layer: GraphLayer) -> bool:
    """True if its sums already have a factor or a bias."""
    given = zip(layer.spec.inputs, layer.inputs, strict=False)
    return any(tensor is not None for port, tensor in given if port.name in ("factor", "bias"))


def _columns(layer: GraphLayer, role: str) -> int | None:
    """Extent of the axis along which factors and biases lie."""
    return layer.outputs[0].dims[-1 if role == "quantized product" else -3].value  # type: ignore[no-any-return]


def _steps_of(layer: GraphLayer) -> tuple[float, Any] | None:
    """Scale and zero point of a quantise layer, if they are known and there is one of each."""
    scale = layer.inputs[1]
    if scale is None or scale.constant is None or scale.constant.size != 1:
        return None
    value = float(scale.constant.reshape(())[()]) if scale.constant.ndim == 0 else float(scale.constant.reshape(-1)[0])
    if not value > 0 or layer.outputs[0].dtype not in (DataType.INT8, DataType.UINT8):
        return None
    if layer.spec.role == "quantize":
        return value, np.int8(0)
    zero = layer.inputs[2]
    if zero is None or zero.constant is None or zero.constant.size != 1:
        return None
    return value, zero.constant.reshape(-1)[0]


def _ratio(scales: np.ndarray, step: float) -> np.ndarray:
    """In float32; infinite where it does not hold one."""
    with np.errstate(over="ignore"):
        return scales / np.float32(step)


def _stored_limits(chain: _Chain, step: float, zero: int, to: DataType) -> tuple[float, float]:
    """Limits of real numbers as those of stored ones: quantising keeps the order."""
    lowest, highest = (-128, 127) if to == DataType.INT8 else (0, 255)
    bounds = (np.float32(v) / np.float32(step) for v in (chain.low, chain.high))
    return tuple(float(np.clip(np.rint(v) + zero, lowest, highest)) for v in bounds)  # type: ignore[return-value]


def _term(layer: GraphLayer) -> Term | None:
    """The formula of a pointwise layer, its inputs called x0, x1 ...; None if it has none."""
    if layer.spec.scalar is None or len(layer.inputs) > 2 or any(t is None for t in layer.inputs):
        return None
    names = [port.name for port in layer.spec.inputs]
    if len(names) < len(layer.inputs):
        return None
    try:
        term = resolved(layer.spec, layer.values, names[: len(layer.inputs)])
    except DefinitionError:
        return None
    return _renamed(term, {name: f"x{index}" for index, name in enumerate(names)})


def _renamed(term: Term, names: dict[str, str]) -> Term:
    if isinstance(term, Name):
        return Name(names.get(term.name, term.name))
    if isinstance(term, Apply):
        return Apply(term.function, tuple(_renamed(one, names) for one in term.arguments))
    return term


def _limits(layer: GraphLayer) -> tuple[float, float] | None:
    """Lower and upper limit, if all that a layer does is to limit numbers."""
    return None if len(layer.inputs) != 1 or layer.outputs[0].dtype != DataType.FLOAT else _limits_of(_term(layer))


def _limits_of(term: Term | None) -> tuple[float, float] | None:
    if isinstance(term, Name):
        return -np.inf, np.inf
    if not isinstance(term, Apply) or term.function not in ("min", "max") or len(term.arguments) != 2:
        return None
    numbers = [one for one in term.arguments if isinstance(one, Number)]
    others = [one for one in term.arguments if not isinstance(one, Number)]
    inner = _limits_of(others[0]) if len(numbers) == 1 else None
    if inner is None:
        return None
    limit = float(numbers[0].value)
    pick = max if term.function == "max" else min
    return pick(inner[0], limit), pick(inner[1], limit)


def _added(layer: GraphLayer, made: GraphTensor, axis: int) -> Any:
    """The constant that a layer adds, one value for each element of the axis; None if it does something else."""
    if _term(layer) not in (Apply("+", (Name("x0"), Name("x1"))), Apply("+", (Name("x1"), Name("x0")))):
        return None
    other = layer.inputs[1] if layer.inputs[0] is made else layer.inputs[0]
    if other is None or other.constant is None or other.dtype != DataType.FLOAT:
        return None
    vector = vector_of(other, made.dims, axis, 1)
    return None if vector is None else vector.constant
