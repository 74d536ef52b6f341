"""The enumerations of built-in layers as C++ macros, which `dovetail stubs --enumerations` prints."""

from __future__ import annotations

from enum import IntEnum

from dovetail.plugins.declaration import snake_case
from dovetail.registry.registry import Registry

_ENUMERATIONS = """// SPDX-License-Identifier: Apache-2.0
// Generated from the specs of the built-in layers by `make refresh`; do not edit.
// The enumerations of layers, as the modules of plugins/builtin state them. X(prefix, Name, value) for each member:
//   enum PoolingKind : int32_t { DOVETAIL_POOLING_TYPE(DOVETAIL_ENUMERATOR, kPool) };  // kPoolMax = 0, ...
#ifndef DOVETAIL_KERNELS_SPEC_ENUMERATIONS_HPP
#define DOVETAIL_KERNELS_SPEC_ENUMERATIONS_HPP

#define DOVETAIL_ENUMERATOR(prefix, Name, value) prefix##Name = value,

// clang-format off
"""


def enumerations_header(registry: Registry) -> str:
    """Text of csrc/kernels/spec/enumerations.hpp: enumerations of fields, or of elements of fields, by name."""
    found: dict[str, type[IntEnum]] = {}
    for spec in registry.specs():
        record = registry.record_of(spec.id)
        if record is not None and record.kind == "built-in":
            kinds = [*(field.enum for field in spec.fields), *spec.enums.values()]
            found |= {kind.__name__: kind for kind in kinds if isinstance(kind, type) and issubclass(kind, IntEnum)}
    lines = [_ENUMERATIONS.rstrip("\n")]
    for name, kind in sorted(found.items()):
        if kind.__module__.startswith("dovetail.plugins."):  # the contract's own stand in plugin.h
            lines += ["", f"#define DOVETAIL_{snake_case(name).upper()}(X, prefix) \\"]
            lines += [f"  X(prefix, {member.name.title().replace('_', '')}, {int(member)}) \\" for member in kind]
            lines[-1] = lines[-1].removesuffix(" \\")
    return "\n".join([*lines, "", "// clang-format on", "#endif", ""])
