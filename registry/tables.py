"""Everything registered, as one value. Changes are made on a copy, which replaces it if all of them succeed."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from dovetail.core.contract import Implementation, OpSpec
from dovetail.core.errors import DefinitionError, PluginConflict
from dovetail.registry.records import AT_RUN_TIME, PluginRecord

_FORBIDDEN = re.compile(r"[@#\s]|::")

AddMethod = tuple[OpSpec, Callable[..., Any]]


def natural(version: str) -> tuple[tuple[int, int, str], ...]:
    """A sort key for versions: "2" < "10" and "1.9" < "1.10"."""
    parts = re.split(r"(\d+)", version)
    return tuple((1, int(part), "") if part.isdigit() else (0, 0, part) for part in parts if part)


@dataclass
class Tables:
    """Specs and implementations by op id, with the record of the plugin that registered each."""

    specs: dict[str, OpSpec] = field(default_factory=dict)
    op_owner: dict[str, PluginRecord] = field(default_factory=dict)  # by op id
    implementations: dict[str, tuple[Implementation, ...]] = field(default_factory=dict)  # by op id
    implementation_owner: dict[str, PluginRecord] = field(default_factory=dict)  # by implementation id
    namespaces: dict[str, str] = field(default_factory=dict)  # namespace -> owner
    add_methods: dict[str, AddMethod] = field(default_factory=dict)

    def copy(self) -> Tables:
        return Tables(*(dict(getattr(self, name)) for name in self.__dataclass_fields__))

    def without(self, drop: Callable[[str, PluginRecord], bool]) -> tuple[Tables, list[Implementation]]:
        """A copy without the ops and implementations (by id) that `drop` selects, and the orphans.

        An orphan is an implementation that was not dropped, of an op that was.
        """
        rest, orphans = Tables(), []
        for key, spec in self.specs.items():
            if not drop(key, self.op_owner[key]):
                rest.add_spec(spec, self.op_owner[key])
        for several in self.implementations.values():
            for one in several:
                if drop(one.id, self.implementation_owner[one.id]):
                    continue
                if one.op in self.specs and one.op not in rest.specs:
                    orphans.append(one)
                else:
                    rest._keep(one, self.implementation_owner[one.id])
        owners = {record.owner for record in rest.implementation_owner.values()}
        for namespace, owner in self.namespaces.items():
            if owner in owners:
                rest.namespaces.setdefault(namespace, owner)
        return rest, orphans

    def add_spec(self, spec: OpSpec, record: PluginRecord) -> None:
        """Define an op. Defining the same spec again does nothing, nor does an equal one from the plugin's library.

        Raises:
            PluginConflict: an op, namespace or `add_...` method of another plugin has that name.
            DefinitionError: the name is not legal in an id, the op has no `make`, or its ONNX operators are wrong.
        """
        makes = callable(spec.make)
        if not spec.name or _FORBIDDEN.search(spec.name + spec.version + spec.namespace) or not makes:
            rule = "is not empty and holds no '@', '#', '::' or space" if makes else "has a `make`"
            raise DefinitionError(
                f"op {spec.id!r} of {record.owner} cannot be registered",
                facts=[("name" if makes else "spec", rule)],
                op=spec.id,
            )
        len(spec.onnx)  # if it is a function, it is called now and not while a model is imported
        known = self.specs.get(spec.id)
        if known is not None:
            owner = self.op_owner[spec.id]
            two_doors = owner.owner == record.owner and (owner.kind == "native") != (record.kind == "native")
            if known is spec or (two_doors and _content(known) == _content(spec)):
                return
            raise self._conflict(f"{spec.id} is defined twice", owner, known.where, record, spec.where)
        self._claim(spec.namespace, record, spec.id, spec.where)
        self._add_fronts(spec, record)
        self.specs[spec.id] = spec
        self.op_owner[spec.id] = record

    def _claim(self, namespace: str, record: PluginRecord, what: str, where: str = "") -> None:
        """The empty namespace is open to all plugins; a named one belongs to the plugin that used it first."""
        if not namespace:
            return
        owner = self.namespaces.setdefault(namespace, record.owner)
        if owner != record.owner:
            everyone = [*self.op_owner.values(), *self.implementation_owner.values()]
            holder = next((r for r in everyone if r.owner == owner), None)
            holder = holder or PluginRecord(owner)
            message = f"{what} cannot be registered: namespace '{namespace}' is another plugin's"
            error = self._conflict(message, holder, "", record, where)
            error.hint += _if_both_are_yours(holder, record)
            raise error

    def _add_fronts(self, spec: OpSpec, record: PluginRecord) -> None:
        for name, function in spec.add_methods.items():
            taken = self.add_methods.get(name)
            if taken is not None:
                other = taken[0]
                if (other.name, other.namespace) != (spec.name, spec.namespace):
                    holder = self.op_owner[other.id]
                    message = f"network.{name} is defined twice"
                    raise self._conflict(message, holder, other.where, record, spec.where)
                if natural(other.version) > natural(spec.version):
                    continue
            self.add_methods[name] = (spec, function)

    def add_implementation(self, implementation: Implementation, record: PluginRecord) -> None:
        """Add an implementation that has passed `check_implementation`. Adding the same one again does nothing.

        Raises:
            PluginConflict: the id is taken, or the name is not in a namespace of the plugin.
        """
        holder = self.implementation_owner.get(implementation.id)
        if holder is not None:
            if implementation in self.implementations[implementation.op]:
                return
            raise self._conflict(f"{implementation.id} is registered twice", holder, "", record, "")
        owner = self.op_owner.get(implementation.op)
        if owner is None or owner.owner != record.owner:
            self._check_name(implementation, owner, record)
        self._keep(implementation, record)

    def _check_name(self, implementation: Implementation, owner: PluginRecord | None, record: PluginRecord) -> None:
        """An implementation of another plugin's op needs a namespace in its name: "acme.winograd"."""
        namespace, _, rest = implementation.name.rpartition(".")
        if not namespace or not rest:
            wanted = f"{_word(record.owner)}.{implementation.name}"
            raise PluginConflict(
                f"{implementation.id} of {record.owner} needs a namespace in its name",
                facts=[("name", f"'{implementation.name}'"), ("wanted", f"such as '{wanted}'")],
                hint=f"Only the plugin that defines {implementation.op} may leave it out. "
                f"Nothing of {record.name} was registered.{_if_both_are_yours(owner, record)}",
                implementation=implementation.id,
                owners=(record.owner,),
            )
        self._claim(namespace, record, implementation.id)

    def _keep(self, implementation: Implementation, record: PluginRecord) -> None:
        several = self.implementations.get(implementation.op, ())
        self.implementations[implementation.op] = (*several, implementation)
        self.implementation_owner[implementation.id] = record

    @staticmethod
    def _conflict(
        message: str, first: PluginRecord, first_where: str, second: PluginRecord, second_where: str
    ) -> PluginConflict:
        sides = ((first, first_where), (second, second_where))
        facts = [(record.name, record.home_of(where)) for record, where in sides]
        hint = f"Nothing of {second.name} was registered."
        if second.kind == "native" and second.name == first.name:
            hint += " To put it in the place of the other: load_library(path, replace=True)."
        elif second.owner == first.owner and not second.distribution:
            hint += " To put it in the place of the other: add_op(..., replace=True)."
        elif second.distribution and second.owner != first.owner:
            hint += f" Block one of them: DOVETAIL_PLUGINS_BLOCK={second.owner}"
        return PluginConflict(
            message,
            facts=facts,
            hint=hint,
            owners=(first.owner, second.owner),
            paths=(first.path, second.path),
        )


def _if_both_are_yours(first: PluginRecord | None, second: PluginRecord) -> str:
    """The hint if a script registered one side and a library the other, perhaps by the same author."""
    library = next((record for record in (first, second) if record and record.kind == "native"), None)
    if first is None or library is None or AT_RUN_TIME not in (first.source, second.source):
        return ""
    return f' If both are yours, register the op in the name of the library: add_op(..., owner="{library.owner}").'


def _word(name: str) -> str:
    return re.sub(r"\W+", "_", name).lower()


def _content(spec: OpSpec) -> tuple[Any, ...]:
    """The parts in which two descriptions of one op must agree."""
    sides = (spec.inputs, spec.outputs)
    ports = [[(p.name, p.types, p.optional, p.variadic, p.like) for p in side] for side in sides]
    fields = [(f.name, f.wire, f.default, f.low, f.high, f.min_length, f.max_length) for f in spec.fields]
    return (*ports, fields)
