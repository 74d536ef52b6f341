"""TensorRT's creators for registered ops: a creator makes a plugin object from a field collection."""

from __future__ import annotations

import base64
import difflib
import json
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from dovetail.core.contract import REQUIRED, OpObject, OpSpec
from dovetail.core.errors import DefinitionError, DTypeError, FieldValueError, PlanCorrupt
from dovetail.core.plugin_field import PluginField, PluginFieldCollection, values_by_name
from dovetail.core.strict import Strict
from dovetail.core.types import FieldType, Weights

_FORMAT = "dovetail.plugin"


class CreatedPlugin(Strict):
    """An op with its fields set, as scripts for TensorRT use it: `network.add_plugin_v2(inputs, plugin)`.

    `values` are the given and default values, weights included; `op` infers shapes and types.
    """

    spec: OpSpec
    values: dict[str, Any]
    op: OpObject
    layer: str
    plugin_namespace: str

    def __init__(self, spec: OpSpec, values: Mapping[str, Any], op: OpObject, layer: str = "") -> None:
        self.spec = spec
        self.values = {name: value for name, value in values.items() if value is not None}
        self.op = op
        self.layer = layer
        self.plugin_namespace = spec.namespace

    @property
    def plugin_type(self) -> str:
        return self.spec.name

    @property
    def plugin_version(self) -> str:
        return self.spec.version

    @property
    def num_outputs(self) -> int:
        return len(self.spec.outputs) or self.op.num_outputs  # type: ignore[attr-defined]

    def clone_op(self) -> OpObject:
        """A copy in the same state that shares nothing with this plugin."""
        return self.op.clone() if hasattr(self.op, "clone") else self.spec.make(self.layer, self._fields())

    def holding(self, op: OpObject) -> CreatedPlugin:
        """The same plugin with another op object, such as the clone of a layer."""
        return CreatedPlugin(self.spec, self.values, op, self.layer)

    def clone(self) -> CreatedPlugin:
        return CreatedPlugin(self.spec, self.values, self.clone_op(), self.layer)

    def _fields(self) -> dict[str, Any]:
        return {name: value for name, value in self.values.items() if self.spec.field_named(name) is not None}

    def serialize(self) -> bytes:
        """The values, for `creator.deserialize_plugin` of the same op. A plan stores more than these."""
        document = {"format": _FORMAT, "op": self.spec.id, "values": _packed(self.values)}
        return json.dumps(document, separators=(",", ":")).encode()

    @property
    def serialization_size(self) -> int:
        return len(self.serialize())

    def initialize(self) -> int:
        """Returns 0; the engine initializes its own copy."""
        return 0

    def terminate(self) -> None:
        """Does nothing; the engine owns its copy."""

    def destroy(self) -> None:
        """Does nothing; memory is freed with the object."""

    def __repr__(self) -> str:
        return f"<plugin {self.spec.id} '{self.layer}'>"


def values_of(fields: Iterable[PluginField]) -> dict[str, Any]:
    """Values by name, of the fields that have data. Raises DTypeError if it is not a collection of PluginFields,
    FieldValueError if a name occurs twice.
    """
    given: list[Any] = list(fields) if hasattr(fields, "__iter__") else [fields]
    wrong = [field for field in given if not isinstance(field, PluginField)]
    if wrong or isinstance(fields, Mapping):
        raise DTypeError(
            f"fields of a plugin cannot be {fields!r:.80}",
            facts=[("expected", "a PluginFieldCollection of PluginFields")],
            hint='Such as PluginFieldCollection([PluginField("axis", np.array([1], np.int32))]).',
        )
    return values_by_name(given)


class RegisteredCreator(Strict):
    """The creator of one registered op, in whatever way its plugin is written."""

    spec: OpSpec

    def __init__(self, spec: OpSpec) -> None:
        self.spec = spec

    name = property(lambda self: self.spec.name)
    plugin_version = property(lambda self: self.spec.version)
    plugin_namespace = property(lambda self: self.spec.namespace)

    @property
    def tensorrt_version(self) -> int:
        """The version of TensorRT whose contract this follows: 8.5."""
        return 8500

    @property
    def field_names(self) -> PluginFieldCollection:
        """The fields and weights that `create_plugin` takes; none has data."""
        fields = [PluginField(field.name, None, field.wire) for field in self.spec.fields]
        ports = [port for port in self.spec.inputs if port.weights]
        fields += [PluginField(port.name, None, FieldType.TENSOR) for port in ports]
        return PluginFieldCollection(fields)

    def create_plugin(self, name: str, field_collection: Iterable[PluginField]) -> Any:
        """A plugin for the layer `name`; if the op has a V2 creator in Python, the object that it made.

        Fields left out have their defaults.

        Raises:
            FieldValueError: an unknown or missing field, or a value of wrong type, count or range.
        """
        return self._create(name, values_of(field_collection))

    def _create(self, layer: str, given: Mapping[str, Any]) -> Any:
        spec = self.spec
        label = f"{spec.id} '{layer}'" if layer else spec.id
        fields, weights = spec.defaults(), {}
        spellings: dict[str, Any] = {}
        for name, value in given.items():
            field, port = spec.field_named(name), spec.port_named(name)
            if field is not None:
                fields[name] = field.check(label, value)
            elif port is not None and port.weights:
                weights[name] = value.numpy() if isinstance(value, Weights) else np.asarray(value)
            elif name in spec.properties and spec.properties[name].set is not None:
                spellings[name] = value.item() if isinstance(value, np.ndarray) and value.size == 1 else value
            else:
                raise _unknown_field(spec, label, name)
        for name, value in spellings.items():
            spec.properties[name].set(fields, value)  # type: ignore[misc]
        for name in fields if spellings else ():
            field = spec.field_named(name)
            fields[name] = field.check(label, fields[name]) if field is not None else fields[name]
        missing = [f for f in spec.fields if f.default is REQUIRED and f.name not in fields]
        if missing:
            raise FieldValueError(
                f"{label} lacks required fields",
                facts=[(f.name, f"{f.type_name}  {f.doc}".rstrip()) for f in missing],
                op=spec.id,
                expected=[f.name for f in missing],
            )
        return _as_author_made(spec, {**fields, **weights}, spec.make(layer, dict(fields)), layer)

    def deserialize_plugin(self, name: str, serialized_plugin: bytes) -> Any:
        """A plugin from the bytes of `serialize`, or from those that the object of a library's op saved.

        Raises:
            PlanCorrupt: these bytes are not of this op.
            DTypeError: `data` is not bytes.
        """
        data = _bytes_of(serialized_plugin, self.spec.id)
        document = _document(data)
        load = getattr(self.spec.make, "load", None)
        if document is None and load is not None:
            return _as_author_made(self.spec, self.spec.defaults(), load(name, data), name)
        found = "something else" if document is None else str(document.get("op"))
        if found != self.spec.id:
            raise PlanCorrupt(
                f"{self.spec.id} '{name}' cannot be read from these {len(data)} bytes",
                facts=[("expected", self.spec.id), ("found", found)],
                expected=self.spec.id,
                got=found,
            )
        try:
            return self._create(name, _unpacked(document["values"]))  # type: ignore[index]
        except (DefinitionError, KeyError, TypeError, ValueError, AttributeError) as error:
            raise PlanCorrupt(
                f"{self.spec.id} '{name}' cannot be read: its values are damaged",
                facts=[("reason", f"{type(error).__name__}: {error}".splitlines()[0])],
            ) from error

    def __repr__(self) -> str:
        return f"<creator of {self.spec.id}>"


def _bytes_of(data: Any, op: str) -> bytes:
    try:
        return data.encode() if isinstance(data, str) else bytes(memoryview(data))
    except TypeError:
        raise DTypeError(
            f"{op} cannot be read from {data!r:.200}",
            facts=[("allowed", "bytes, as plugin.serialize() gives"), ("given", type(data).__name__)],
            got=data,
        ) from None


def _as_author_made(spec: OpSpec, values: Mapping[str, Any], op: OpObject, layer: str) -> Any:
    """The author's own object for a V2 class written in Python; for other ops, a `RegisteredPlugin`."""
    plugin = getattr(op, "plugin", None)
    return plugin if hasattr(plugin, "as_created") else CreatedPlugin(spec, values, op, layer)


def _unknown_field(spec: OpSpec, label: str, name: str) -> FieldValueError:
    known = [f.name for f in spec.fields] + [p.name for p in spec.inputs if p.weights]
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    hint = f"Did you mean '{near[0]}'?" if near else ""
    creator = getattr(spec.make, "creator", None)
    if creator is not None and not near:
        hint = f"A creator takes the fields that it lists: add PluginField('{name}', ...) to field_names of "
        hint += f"{type(creator).__name__}."
    return FieldValueError(
        f"{label} has no field '{name}'",
        facts=[("fields", ", ".join(known) or "none")],
        hint=hint,
        op=spec.id,
        field=name,
    )


def _packed(values: Mapping[str, Any]) -> dict[str, Any]:
    """Values in a form for JSON; an array becomes its type, dims and bytes."""
    packed = {}
    for name, value in values.items():
        if isinstance(value, np.ndarray):
            text = base64.b64encode(np.ascontiguousarray(value).tobytes()).decode()
            value = {"dtype": value.dtype.name, "dims": value.shape, "data": text}
        packed[name] = value
    return packed


def _unpacked(values: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: np.frombuffer(base64.b64decode(value["data"]), value["dtype"]).reshape(value["dims"])
        if isinstance(value, dict)
        else value
        for name, value in values.items()
    }


def _document(data: bytes) -> dict[str, Any] | None:
    try:
        document = json.loads(data)
    except ValueError:
        return None
    return document if isinstance(document, dict) and document.get("format") == _FORMAT else None
