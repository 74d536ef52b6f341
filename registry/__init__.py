"""Plugin discovery, registration and lookup."""

from dovetail.registry.loader import default_registry, load_entry_points
from dovetail.registry.records import PluginRecord
from dovetail.registry.registry import Registry

__all__ = ["PluginRecord", "Registry", "default_registry", "load_entry_points"]
