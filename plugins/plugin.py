"""`Plugin`: the base class of ops that are defined in Python."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

from dovetail.core.contract import REQUIRED, Field, Implementation, Moved, OpSpec, SymbolicTensor, op_id
from dovetail.core.errors import DefinitionError, DTypeError, FieldValueError
from dovetail.core.expr import Expr, as_expr, size_tensor
from dovetail.core.scalar import checked as check_formula
from dovetail.core.scalar import reference_by_formula
from dovetail.core.types import DeviceType
from dovetail.plugins.author import calling, shown
from dovetail.plugins.declaration import (
    Declaration,
    add_methods_of,
    check,
    check_identity,
    place_of,
    read_body,
    warn_of_near_names,
)
from dovetail.plugins.implementations import implementations_of
from dovetail.plugins.onnx import OnnxOp, OnnxOperators
from dovetail.plugins.ports import bind
from dovetail.plugins.shapes import refuse_negative


class Plugin:
    """An op: ports, fields, the rule for its outputs, and a numpy reference. Subclass it; nothing else is needed.

        class HardSwish(Plugin):
            \"""y = x * min(max(x + offset, 0), 6) / 6.\"""

            x = Input(FLOATS)
            y = Output(like="x")
            offset: float = field(3.0, doc="Where the ramp starts, below zero.")

            def infer(self, x):
                return x.like()

            def reference(self, x):
                return x * np.clip(x + self.offset, 0, 6) / 6

    The class gets `dovetail_spec` (an OpSpec) and `dovetail_implementations`, and is registered when a hook
    offers it.

    Identity     `name` (default: that of the class), `version` (default "1"), `namespace` (default "")
    purpose      optional: what it is for, in a few words; the reference of the layers lists ops by it
    Ports        Input, Weights, Output; taken out of the class
    Fields       annotated names; on an object they are attributes with their values
    Methods      parameters are the inputs, None where one is absent:
      infer        SymbolicTensor in and out: dims and types of all outputs. Dims may be unknown: arithmetic
                   on them works, an `if` on one is an error. Without infer, every output has the dims of
                   the first input.
      reference    numpy arrays in and out, as plain as possible, for any float type; it is also what runs
                   where there is nothing faster
      moves        optional, of an op that only moves elements: a `Moved` that says where those of its output are in
                   the inputs, or None. Input and output may then share memory. It gets the output in front of the
                   inputs, SymbolicTensors all; inputs that only say shapes may be absent
      weight_dims  optional: {"kernel": (k, c, r, s)} for Weights ports. Data may be given flat: the network
                   calls this to learn its dims, before infer. The size of what was given must fit.
    Kernels      optional: `enqueue(self, inputs, outputs, workspace, stream)` gets arrays of the tensors'
                 memory, and writes outputs; `@kernel(types=..., formats=...)` marks more of them. With them
                 may go `configure(self, inputs, outputs)`, `get_workspace_size(self, inputs, outputs)` and
                 `shape_changed(self, inputs, outputs)`, which get descs. Each context has a shallow copy of
                 the object.
    device       where the kernels compute, by default DeviceType.CPU; @kernel can name another device. On
                 the GPU they get DeviceArrays and a CUDA stream. The reference runs on the CPU.
    Second names `renamed`, `deprecated`, `bit_mask`, `both` or a LayerProperty: attributes of a layer
    Add methods  class methods `add(cls, network, ...)` or `add_<layer>(...)`; without any, one is made of
                 ports and fields
    type_rows    legal assignments of types, as in a kernel's row ("f32 f32 -> f32"), where the product of
                 the ports' types would hold some that nothing computes
    enums        enumerations of arguments of add methods, and classes that they return: attributes of the package, as
                 enumerations of fields are. A mapping gives them other names, such as older ones
    scalar       for a pointwise op, the formula of one element, such as "x * min(max(x + offset, 0), 6) / 6": see
                 `dovetail.core.scalar` for the language. Layers are fused by it. It is the reference where the class
                 has none, else `dovetail.machine.testing` compares the two

    onnx         the ONNX operators that the op is, or makes by a rewrite: a tuple of `onnx_op(...)`, or a static method
                 that returns one, so that rewrites may stand below the class. See `dovetail.plugins.onnx`

    Raises:
        DefinitionError: when the class statement runs, with its line, if the op is not well formed.
    """

    name: ClassVar[str] = ""
    version: ClassVar[str] = "1"
    namespace: ClassVar[str] = ""
    purpose: ClassVar[str] = ""
    role: ClassVar[str] = ""
    device: ClassVar[DeviceType] = DeviceType.CPU
    scalar: ClassVar[str | None] = None
    onnx: ClassVar[Sequence[OnnxOp] | Callable[[], Sequence[OnnxOp]]] = ()
    type_rows: ClassVar[Sequence[str]] = ()
    enums: ClassVar[Sequence[type[Any]] | Mapping[str, type[Any]]] = ()

    dovetail_spec: ClassVar[OpSpec]
    dovetail_implementations: ClassVar[tuple[Implementation, ...]]
    _declared: ClassVar[Declaration] = Declaration()

    def __init_subclass__(cls, abstract: bool = False, where: str = "", **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        place, frame = place_of(sys._getframe(1))
        where = where or place
        own = read_body(cls, _RESERVED, where, frame)
        cls._declared = Declaration()
        for base in reversed(cls.__mro__[1:]):
            if "_declared" in vars(base):
                cls._declared.update(vars(base)["_declared"])
        cls._declared.update(own)
        if abstract:
            return
        if "name" not in vars(cls):
            cls.name = cls.__name__
        check_identity(cls.name, cls.version, cls.namespace, where)
        check(cls, cls._declared, where)
        warn_of_near_names(cls, where)
        if not hasattr(cls, "reference") and cls.scalar is not None:
            cls.reference = _reference_by_formula  # type: ignore[attr-defined]  # a class may have none
        cls.dovetail_spec = OpSpec(
            name=cls.name,
            version=str(cls.version),
            namespace=cls.namespace,
            doc=inspect.cleandoc(cls.__doc__ or ""),
            where=where,
            origin=f"{cls.__module__}.{cls.__qualname__}",
            inputs=tuple(cls._declared.inputs.values()),
            outputs=tuple(cls._declared.outputs.values()),
            fields=tuple(cls._declared.fields.values()),
            make=_maker_of(cls),
            reference=_reference_of(cls) if hasattr(cls, "reference") else None,
            scalar=cls.scalar,
            moves=_moves_of(cls) if hasattr(cls, "moves") else None,
            purpose=cls.purpose,
            role=cls.role,
            enums=dict(cls.enums) if isinstance(cls.enums, Mapping) else {enum.__name__: enum for enum in cls.enums},
            add_methods=add_methods_of(cls, cls._declared),
            properties=dict(cls._declared.properties),
            onnx=_operators_of(cls, where),
        )
        check_formula(cls.dovetail_spec)
        cls.dovetail_implementations = implementations_of(cls)

    def __init__(self, layer_name: str = "", /, **values: Any) -> None:
        """An op with its fields set. Raises FieldValueError for an unknown, missing or illegal field."""
        spec = self.dovetail_spec
        self.layer_name = layer_name
        unknown = values.keys() - {f.name for f in spec.fields}
        if unknown:
            known = ", ".join(f.name for f in spec.fields) or "none"
            raise FieldValueError(
                f"{self.label} has no field '{min(unknown)}'", facts=[("fields", known)], field=min(unknown)
            )
        for declared in spec.fields:
            setattr(self, declared.name, self._value_of(declared, values.get(declared.name)))

    def _value_of(self, declared: Field, value: Any) -> Any:
        if value is not None:
            return declared.check(self.label, value)
        if declared.default is REQUIRED:
            raise FieldValueError(
                f"{self.label} needs a value for {declared.name}",
                facts=[(declared.name, f"{declared.type_name}, {declared.doc}".rstrip(", "))],
                field=declared.name,
            )
        return declared.default

    @property
    def label(self) -> str:
        """Its name in messages: `Softmax@1 'probabilities'`."""
        identity = op_id(self.name, str(self.version), self.namespace)
        return f"{identity} '{self.layer_name}'" if self.layer_name else identity

    def declare_size(self, output: str, opt: Any, upper: Any) -> Expr:
        """A data-dependent extent of at most `upper`, which the kernel writes to the size output `output`.

        `opt` is part of TensorRT's contract; layers are timed at the upper bound in any case.
        """
        names = [port.name for port in self.dovetail_spec.outputs if port.size]
        if output not in names:
            raise DefinitionError(
                f"{self.label} cannot declare an extent by '{output}'",
                facts=[("size outputs", ", ".join(names) or "none")],
                hint=f"Declare it: {output} = Output(DataType.INT64, size=True).",
            )
        index = [port.name for port in self.dovetail_spec.outputs].index(output)
        return size_tensor(index, as_expr(opt), as_expr(upper), f"{self.layer_name or self.name}.{output}")

    def infer(self, *inputs: Any) -> Any:
        """Dims of the first input; types follow from the ports."""
        return [self._like_first(port, inputs) for port in self.dovetail_spec.outputs]

    infer.takes_any_inputs = infer.is_default = True  # type: ignore[attr-defined]

    def _like_first(self, port: Any, inputs: Sequence[Any]) -> SymbolicTensor:
        names = [p.name for p in self.dovetail_spec.inputs]
        first = _first(inputs[0]) if inputs else None
        if first is None or not (port.like or len(port.types) == 1):
            raise DefinitionError(f"{self.label} does not say what '{port.name}' is", hint="Write def infer.")
        dtype = _first(inputs[names.index(port.like)]).dtype if port.like else port.types[0]
        found: SymbolicTensor = first.like(dtype=dtype)
        return found


def _first(argument: Any) -> Any:
    """The tensor of a port, or the first one of a variadic port; None if there is none."""
    return (argument[0] if argument else None) if isinstance(argument, list) else argument


_HINT_INFER = "Return x.like(dims) or x.like(dims, dtype) for each output, x being one of the inputs."
_RESERVED = frozenset(dir(Plugin)) | {"layer_name", "weight_dims", "reference", "moves", "enqueue", "configure"}


class PluginOp:
    """A plugin with its fields set, as a `core.contract.OpObject`."""

    def __init__(self, plugin: Any) -> None:
        self.plugin = plugin

    def infer(self, inputs: Sequence[SymbolicTensor | None]) -> list[SymbolicTensor]:
        """Dims and types of all outputs. Raises ShapeError or DTypeError, with the layer's name."""
        spec = self.plugin.dovetail_spec
        arguments = self._check_inputs(inputs)
        with calling(spec.id, self.plugin.layer_name, "infer"):
            result = self.plugin.infer(*arguments)
        outputs = list(result) if isinstance(result, (list, tuple)) else [result]
        if len(outputs) != len(spec.outputs) or not all(isinstance(o, SymbolicTensor) for o in outputs):
            raise DefinitionError(
                f"infer of {self.plugin.label} returned {shown(result)}",
                facts=[
                    ("expected", f"{len(spec.outputs)} SymbolicTensor: {', '.join(p.name for p in spec.outputs)}"),
                    ("defined at", spec.where),
                ],
                hint=_HINT_INFER,
            )
        by_name = dict(zip((port.name for port in spec.inputs), map(_first, arguments), strict=True))
        for port, output in zip(spec.outputs, outputs, strict=True):
            refuse_negative(self.plugin.label, f"output '{port.name}'", output.dims, "infer")
            like = by_name[port.like].dtype if port.like and not port.types else None
            legal = port.types or ((like,) if like is not None else ())
            if legal and output.dtype not in legal:
                raise DTypeError(
                    f"{self.plugin.label} cannot give {output.dtype.name} on output '{port.name}'",
                    facts=[("allowed", ", ".join(t.name for t in legal)), ("said by", f"infer, {spec.where}")],
                    hint="Return x.like(dims, dtype) with the type of the output.",
                    expected=legal,
                    got=output.dtype,
                )
        return outputs

    def _check_inputs(self, inputs: Sequence[SymbolicTensor | None]) -> list[Any]:
        ports = self.plugin.dovetail_spec.inputs
        arguments = bind(ports, inputs)
        for port, argument in zip(ports, arguments, strict=True):
            if argument is None and not port.optional:
                raise DefinitionError(f"{self.plugin.label} lacks its input '{port.name}'", port=port.name)
            for tensor in argument if isinstance(argument, list) else [argument]:
                if tensor is not None and port.types and tensor.dtype not in port.types:
                    raise DTypeError(
                        f"{self.plugin.label} cannot take {tensor.dtype.name} on input '{port.name}'",
                        facts=[("allowed", ", ".join(t.name for t in port.types))],
                        expected=port.types,
                        got=tensor.dtype,
                    )
        return arguments

    def weight_dims(self, inputs: Sequence[SymbolicTensor | None]) -> dict[str, tuple[int, ...]]:
        """Dims of data given for Weights ports, by name; other ports keep the dims of their data.

        In `inputs`, a port whose data is given is None, or a tensor with the dims of that data.
        """
        if not hasattr(self.plugin, "weight_dims"):
            return {}
        with calling(self.plugin.dovetail_spec.id, self.plugin.layer_name, "weight_dims"):
            wanted = self.plugin.weight_dims(*bind(self.plugin.dovetail_spec.inputs, inputs))
        if not isinstance(wanted, Mapping) or not all(hasattr(dims, "__iter__") for dims in wanted.values()):
            raise DefinitionError(
                f"weight_dims of {self.plugin.label} returned {shown(wanted)}",
                hint='Return dims by name of the port, such as {"kernel": (k, c, r, s)}.',
            )
        return {name: tuple(dims) for name, dims in wanted.items()}


def _operators_of(cls: Any, where: str) -> OnnxOperators:
    """The ONNX operators of a class. A function is called when they are needed; anything else is checked now."""
    operators = OnnxOperators(cls.__name__, where, cls.onnx)
    if not callable(cls.onnx):
        len(operators)
    return operators


def _maker_of(cls: Any) -> Callable[[str, dict[str, Any]], PluginOp]:
    def make(layer: str, values: dict[str, Any]) -> PluginOp:
        with calling(cls.dovetail_spec.id, layer, "__init__"):
            return PluginOp(cls(layer, **values))

    return make


def _reference_of(cls: Any) -> Callable[..., Any]:
    def reference(values: Mapping[str, Any], *arrays: Any) -> Any:
        plugin = cls("", **{name: value for name, value in values.items() if value is not None})
        return plugin.reference(*bind(cls.dovetail_spec.inputs, arrays))

    reference.is_by_formula = cls.reference is _reference_by_formula  # type: ignore[attr-defined]
    return reference


def _moves_of(cls: Any) -> Callable[..., Moved | None]:
    def moves(values: Mapping[str, Any], output: Any, *inputs: Any) -> Moved | None:
        plugin = cls("", **{name: value for name, value in values.items() if value is not None})
        return plugin.moves(output, *bind(cls.dovetail_spec.inputs, inputs))  # type: ignore[no-any-return]

    return moves


def _reference_by_formula(self: Any, *inputs: Any) -> Any:
    """The reference of a class that has only a formula."""
    spec = self.dovetail_spec
    return reference_by_formula(spec, {f.name: getattr(self, f.name) for f in spec.fields}, inputs)


_reference_by_formula.takes_any_inputs = True  # type: ignore[attr-defined]
