"""The registry's methods with TensorRT's names, which take and return creators."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import Any

from dovetail.core.errors import DovetailError, PluginConflict, PluginNotFound
from dovetail.core.strict import Strict
from dovetail.registry.creators import RegisteredCreator
from dovetail.registry.offer import Offer

_log = logging.getLogger("dovetail")


class TensorRTNames(Strict):
    """The part of `Registry` for TensorRT's scripts. A failed lookup is logged, and returns None or False."""

    error_recorder: Any
    _absent = dict.fromkeys(
        ("acquire_plugin_resource", "release_plugin_resource"),
        "A plugin keeps what its objects share in its own module or library.",
    )

    def __init__(self) -> None:
        self._creators: list[tuple[Any, str]] = []  # object given to register_creator, and the id of its op
        self.error_recorder: Any = None

    @property
    def plugin_creator_list(self) -> list[RegisteredCreator]:
        """A creator for every registered op."""
        self.adopt_opened()
        return [RegisteredCreator(spec) for spec in self.specs()]

    @property
    def all_creators(self) -> list[RegisteredCreator]:
        """The name of `plugin_creator_list` in later versions of TensorRT."""
        return self.plugin_creator_list

    def get_creator(self, type: str, version: str, plugin_namespace: str = "") -> RegisteredCreator | None:
        """The name of `get_plugin_creator` in later versions of TensorRT."""
        return self.get_plugin_creator(type, version, plugin_namespace)

    def get_plugin_creator(self, type: str, version: str, plugin_namespace: str = "") -> RegisteredCreator | None:
        """The creator of an op, or None as in TensorRT; near misses are then logged as a warning."""
        try:
            return RegisteredCreator(self.find(type, version, plugin_namespace))
        except PluginNotFound as error:
            self._report(error)
            return None

    def register_creator(self, creator: Any, plugin_namespace: str = "") -> bool:
        """Register the op of a creator; False, and a warning in the log, if its name is taken.

        Raises:
            DefinitionError: `creator` does not describe an op.
        """
        offer = Offer(self._record_named("user"))
        if plugin_namespace and isinstance(getattr(creator, "plugin_namespace", None), str):
            creator.plugin_namespace = plugin_namespace
        spec = offer.add_op(creator, "register_creator")
        if plugin_namespace and spec.namespace != plugin_namespace:
            moved = replace(spec, namespace=plugin_namespace)
            offer.specs = [(moved, record) for _, record in offer.specs]
            offer.implementations = [(replace(one, op=moved.id), r) for one, r in offer.implementations]
            spec = moved
        with self._lock:
            older = next((known for known, op in self._creators if op == spec.id), None)
            is_edited = type(older) is not type(creator) and self._is_edited(spec, offer.record)
            if spec.id in self._tables.specs and not is_edited:
                holder = self._tables.op_owner[spec.id].title
                message = f"{spec.id} is registered already"
                self._report(PluginConflict(message, facts=[("by", holder)], op=spec.id))
                return False
            try:
                self.commit(offer, self._earlier(spec, offer.record) if is_edited else None)
            except PluginConflict as error:
                self._report(error)
                return False
            self._creators = [pair for pair in self._creators if pair[1] != spec.id] + [(creator, spec.id)]
            return True

    def deregister_creator(self, creator: Any) -> bool:
        """Unregister the op of a creator; False if `register_creator` did not register it."""
        with self._lock:
            wanted = creator.spec.id if isinstance(creator, RegisteredCreator) else None
            found = next((pair for pair in self._creators if pair[0] is creator or pair[1] == wanted), None)
            if found is None:
                return False
            op = found[1]
            owner = self._tables.op_owner[op]
            self._swap(self._tables.without(lambda id, _: id.partition("#")[0] == op)[0])
            self._creators.remove(found)
            self.note(owner)
            return True

    def adopt_opened(self) -> list[Any]:
        """Register plugin libraries that the process opened by itself. See `Registry.adopt_opened`."""
        raise NotImplementedError

    def _report(self, error: DovetailError) -> None:
        _log.warning("%s", error)
        if self.error_recorder is not None:
            self.error_recorder.report_error(error.code, str(error))
