"""A V2 object that a script made and adds to a network: how loading a plan makes the object again."""

from __future__ import annotations

from typing import Any

import numpy as np

from dovetail.core.contract import Lookup, OpSpec
from dovetail.core.errors import DefinitionError, PluginFailed, PluginNotFound
from dovetail.plugins.author import calling, shown
from dovetail.plugins.v2_check import check_object, identity_of, writes
from dovetail.plugins.v2_spec import STATE, V2Maker, V2Op, cloned, spec_of, state_of

_PLAIN = (bool, int, float, complex, str, bytes, tuple, list, dict, np.ndarray, np.generic, type(None))


class CreatedV2:
    """The op for `network.add_plugin_v2`: its spec, the values that a plan stores, and clones of the object.

    A build uses clones of the object. Loading a plan makes the object again: with `deserialize_plugin` of the creator
    from the bytes of `serialize`; without that method, with `create_plugin` from the same fields, or with the class
    from the arguments of `__init__`. This class checks that the result is the same object.

    Args:
        lookup: where the class or its creator may be registered.

    Raises:
        DefinitionError: the object is incomplete, its name belongs to another plugin, or it could not be made again.
        PluginFailed: one of its methods raised.
    """

    def __init__(self, plugin: Any, lookup: Lookup | None = None) -> None:
        check_object(plugin)
        self.plugin = plugin
        self.name = identity_of(plugin)
        registered = self._registered(lookup)
        if registered is None:
            self._take_own()
        else:
            self._take_registered(registered)
        self._check_clone()

    def clone_op(self) -> V2Op:
        with calling(self.name, "", "clone"):
            return V2Op(cloned(self.plugin), is_source=True)

    # ---- which spec, and which values

    def _registered(self, lookup: Lookup | None) -> OpSpec | None:
        version, namespace = str(self.plugin.plugin_version), self.plugin.plugin_namespace
        try:
            return None if lookup is None else lookup.find(self.plugin.plugin_type, version, namespace)
        except PluginNotFound:
            return None

    def _take_own(self) -> None:
        """For a class that is not registered: the build works, but loading the plan needs a registered class."""
        cls = type(self.plugin)
        own = cls.dovetail_spec if cls.stands_for_itself() and not self._writes("serialize") else None
        if own is not None and own.id == self.name:
            self.spec, self.values = own, self._arguments(own)
            self._check_again(cls, "its arguments")
            return
        plugin = self.plugin
        identity = (plugin.plugin_type, str(plugin.plugin_version), plugin.plugin_namespace)
        self.spec = spec_of(cls, *identity, [], V2Maker(None))
        self.values = {STATE: np.frombuffer(self._state(), np.uint8)} if self._writes("serialize") else {}

    def _take_registered(self, spec: OpSpec) -> None:
        creator = spec.make.creator if isinstance(spec.make, V2Maker) else None
        made_by = getattr(creator, "cls", None)
        if creator is None or (made_by is not None and made_by is not type(self.plugin)):
            raise DefinitionError(
                f"{self.name} is registered, and not as {type(self.plugin).__name__}",
                facts=[("registered", spec.where), ("given", f"an object of {self._class}")],
                hint="Give it another plugin_type or plugin_namespace, or register its own class or creator instead.",
            )
        self.spec = spec
        if made_by is not None:
            self.values = self._arguments(spec)
            self._check_again(made_by, "its arguments")
        elif self._writes("serialize") and (
            writes(type(creator), "deserialize_plugin") or "_fields" not in vars(self.plugin)
        ):
            self.values = {STATE: np.frombuffer(self._state(), np.uint8)}
            self._check_state(creator)
        elif "_fields" in vars(self.plugin) or len(spec.fields) == 1:
            self.values = dict(vars(self.plugin).get("_fields", {}))
            self._check_again(lambda **values: creator.make("", values), "the same fields")
        else:
            raise DefinitionError(
                f"{type(self.plugin).__name__} does not have serialize, so that a plan could not make it again",
                facts=[("fields", ", ".join(field.name for field in spec.fields[:-1])), ("creator", spec.where)],
                hint=f"Write def serialize(self), whose bytes {type(creator).__name__}.deserialize_plugin reads; or "
                "let its create_plugin make the object.",
                method="serialize",
            )

    def _arguments(self, spec: OpSpec) -> dict[str, Any]:
        args, kwargs = self.plugin._arguments
        names = [field.name for field in spec.fields]
        return {**dict(zip(names, args, strict=False)), **kwargs}

    def _writes(self, method: str) -> bool:
        return writes(type(self.plugin), method)

    @property
    def _class(self) -> str:
        return f"{type(self.plugin).__module__}.{type(self.plugin).__qualname__}"

    # ---- is it the same again?

    def _state(self) -> bytes:
        return self._state_of(self.plugin)

    def _state_of(self, plugin: Any) -> bytes:
        with calling(self.name, "", "serialize"):
            return state_of(plugin)

    def _check_clone(self) -> None:
        with calling(self.name, "", "clone"):
            copy = cloned(self.plugin)
        if self._writes("serialize") and self._state_of(copy) != self._state():
            raise PluginFailed(
                f"clone of {self.name} forgets something",
                facts=[("serialize()", shown(self._state())), ("of the clone", shown(self._state_of(copy)))],
                hint="Copy every attribute, as with clone.__dict__.update(self.__dict__).",
                plugin=self.name,
                method="clone",
            )

    def _check_state(self, creator: Any) -> None:
        with calling(self.name, "", "deserialize_plugin"):
            again = creator.make("", dict(self.values))
        if self._state_of(again) != self._state():
            raise PluginFailed(
                f"deserialize_plugin of {type(creator).__name__} does not make the same {self.name} again",
                facts=[("serialize()", shown(self._state())), ("made again", shown(self._state_of(again)))],
                hint="A plan stores what serialize() gives: it has to hold, and deserialize_plugin to read, all state.",
                plugin=self.name,
                method="deserialize_plugin",
            )

    def _check_again(self, make: Any, of: str) -> None:
        """Refuse attributes set after the object was made, which would be lost in a plan."""
        with calling(self.name, "", "__init__"):
            again = make(**self.values)
        ours = ("_arguments", "_fields", "plugin_namespace")
        for name, value in vars(self.plugin).items():
            other = vars(again).get(name, getattr(type(again), name, None))
            if name in ours or not isinstance(value, _PLAIN) or _is_same(value, other):
                continue
            raise DefinitionError(
                f"{name} of {self.name} was changed after the object was made, and a plan would lose that",
                facts=[("now", shown(value)), (f"made of {of}", shown(other)), ("class", self._class)],
                hint="Pass it when the object is made; or write serialize(), and an IPluginCreator whose "
                "deserialize_plugin reads it.",
                attribute=name,
            )


def _is_same(a: Any, b: Any) -> bool:
    if isinstance(a, (np.ndarray, list, tuple)) and not isinstance(b, type(None)):
        try:
            return bool(np.array_equal(np.asarray(a), np.asarray(b), equal_nan=False)) or str(a) == str(b)
        except (TypeError, ValueError):
            return str(a) == str(b)
    return type(a) is type(b) and (a == b or a != a)
