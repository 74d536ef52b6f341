"""Near misses: suggestions for a lookup that failed, each with what to do."""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from dovetail.core.contract import OpSpec, op_id
from dovetail.core.errors import PluginNotFound
from dovetail.registry.library_files import known_libraries
from dovetail.registry.nvidia import instead_of
from dovetail.registry.records import AT_RUN_TIME, PluginRecord
from dovetail.registry.tables import Tables, natural

_MOST = 6  # lines in one message
_LONGEST = 200  # characters of a name in a message; longer ones are cut


@dataclass(frozen=True)
class NearMiss:
    """Something similar to the requested name, why it does not match, and how to get it."""

    what: str
    why: str
    advice: str = ""


def near_misses(
    name: str, version: str, namespace: str, tables: Tables, records: Iterable[PluginRecord]
) -> list[NearMiss]:
    """Near misses, nearest first: other versions, namespaces and spellings, then plugins and libraries not loaded."""
    found = _registered(name, version, namespace, tables)
    instead = instead_of(name)
    if instead and not any(spec.name == name for spec in tables.specs.values()):
        found.insert(0, NearMiss(name, "one of the plugins that NVIDIA ships with TensorRT; not here", instead))
    away = _not_loaded(records) + _libraries(records)
    words = [_letters(word) for word in (namespace, name) if word]
    related = [miss for miss in away if _relates(miss.what, words)]
    found += related or ([] if found else away)
    return found[:_MOST]


def not_found(
    name: str, version: str, namespace: str, tables: Tables, records: Iterable[PluginRecord]
) -> PluginNotFound:
    """The error for a failed lookup, with its near misses."""
    misses = near_misses(name, version, namespace, tables, records)
    advice = [miss.advice for miss in misses if miss.advice] or ["See what is here: dovetail plugins list --ops"]
    asked = op_id(name, version, namespace)
    shown = asked if len(asked) <= _LONGEST else f"{asked[:_LONGEST]}... ({len(asked)} characters)"
    return PluginNotFound(
        f"no plugin {shown}",
        facts=[(miss.what, miss.why) for miss in misses],
        hint=advice[0],
        op=asked,
        name=name,
        version=version,
        namespace=namespace,
        near=[miss.what for miss in misses],
    )


def spelled_like(word: str, known: Iterable[str]) -> list[str]:
    """Words that differ from `word` in at most two letters, or are similar as a whole; best first, at most three."""
    lower = {candidate.lower(): candidate for candidate in known}
    if len(word) > _LONGEST:  # no name is similar, and comparing takes time quadratic in the length
        return []
    close = difflib.get_close_matches(word.lower(), lower, n=3, cutoff=0.75)
    reach = 2 if len(word) > 4 else 1
    alike = (c for c in lower if c not in close and abs(len(c) - len(word)) <= reach)
    close += [c for c in alike if edit_distance(word.lower(), c) <= reach]
    return [lower[candidate] for candidate in close][:3]


def edit_distance(a: str, b: str) -> int:
    """Number of insertions, deletions and replacements that turn `a` into `b`."""
    row = list(range(len(b) + 1))
    for i, letter in enumerate(a, 1):
        previous, row[0] = row[0], i
        for j, other in enumerate(b, 1):
            previous, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, previous + (letter != other))
    return row[-1]


def _registered(name: str, version: str, namespace: str, tables: Tables) -> list[NearMiss]:
    groups: dict[tuple[str, str], list[OpSpec]] = {}
    for spec in tables.specs.values():
        groups.setdefault((spec.namespace, spec.name), []).append(spec)
    exact = [key for key in groups if key[1] == name]
    cased = [key for key in groups if key[1] != name and key[1].lower() == name.lower()]
    names = {key[1] for key in groups} - {key[1] for key in exact + cased}
    alike = [key for near in spelled_like(name, names) for key in groups if key[1] == near]
    for group in (exact, cased, alike):
        group.sort(key=lambda key: key[0] != namespace)
    keys = exact + cased + alike
    return [_of_group(groups[key], name, version, namespace, tables) for key in keys]


def _of_group(specs: Sequence[OpSpec], name: str, version: str, namespace: str, tables: Tables) -> NearMiss:
    """One line for all versions of one op."""
    specs = sorted(specs, key=lambda spec: natural(spec.version))
    newest = specs[-1]
    what = ", ".join([specs[0].id, *(f"@{spec.version}" for spec in specs[1:])])
    owner = tables.op_owner[newest.id]
    why = "built in" if owner.kind == "built-in" else f"loaded from {owner.title}"
    if owner.source == AT_RUN_TIME:
        why = f"registered at run time by {owner.name}"
    if newest.name != name:
        return NearMiss(what, why, f"Did you mean {newest.id}?")
    if newest.namespace != namespace:
        return NearMiss(what, why, f'Ask for namespace="{newest.namespace}".')
    advice = f'Ask for version="{newest.version}"'
    if owner.distribution and natural(version) > natural(newest.version):
        advice += f", or install a newer {owner.distribution}: pip install -U {owner.distribution}"
    return NearMiss(what, why, advice)


def _not_loaded(records: Iterable[PluginRecord]) -> list[NearMiss]:
    misses = []
    records = list(records)
    built_in = {record.name for record in records if record.kind == "built-in"}
    for record in records:
        closed = record.parent in built_in and record.state == "disabled"  # it has no ops, so it cannot be meant
        if record.state == "loaded" or record.kind == "built-in" or closed:
            continue
        why = f"known, {record.state}: {record.reason}"[:80]
        advice = f"See why: dovetail plugins why {record.name}"
        if record.state == "disabled" and record.kind != "native":
            advice = f"Allow it: {record.reason} keeps {record.name} from being loaded."
        misses.append(NearMiss(record.name, why, advice))
    return misses


def _libraries(records: Iterable[PluginRecord]) -> list[NearMiss]:
    loaded = {record.real_path for record in records}
    return [
        NearMiss(path.name, "in DOVETAIL_PLUGIN_PATH, not loaded", f'Load it: registry.load_library("{path}")')
        for path in known_libraries()
        if os.path.realpath(path) not in loaded
    ]


def _letters(word: str) -> str:
    return re.sub(r"[^a-z0-9]", "", word.lower())


def _relates(text: str, words: Sequence[str]) -> bool:
    plain = _letters(text)
    return any(len(word) > 2 and (word in plain or plain in word) for word in words)
