"""Words and phrases that readers stumbled over do not come back; CONTRIBUTING.md says why."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PLACES = ("core", "registry", "plugins/*.py", "plugins/onnx", "machine/*.py", "machine/onnx", "csrc/include", "docs")
GENERATED = ROOT / "docs" / "layers"
# Decisions are never edited, and a glossary may name a word that it replaces.
EXEMPT = {ROOT / "docs" / "decisions.md", ROOT / "docs" / "glossary.md"}

PHRASES = {
    r"(?<!there )\b(?:is|are) no (?!longer\b|more\b)": 'write "is not a"',
    r"\bwhoever\b": 'write "the caller", "the plugin" or whoever it is',
    r"\buntold\b|\btold sizes?\b": 'write "data-dependent extent"',
    r"\bbe it for\b": 'write "if" or "whether"',
    r"\bso many (?:bytes|values|times|elements)\b": 'write "this number of"',
    r"\bbrings? (?:an? |its |the )?(?:op|ops|library|layers?|implementations?)\b": 'write "has", "adds" or "registers"',
    r"\bnobody (?:has|knows|will|can|asks|asked|sees)\b": 'write "not" and the passive',
}


def files():
    for place in PLACES:
        found = ROOT.glob(place) if "*" in place else (ROOT / place).rglob("*")
        yield from sorted(
            p for p in found if p.suffix in {".py", ".md", ".h", ".hpp", ".cpp", ".cuh"} and p not in EXEMPT
        )


def banned(text: str) -> list[str]:
    return [
        f"{match[0]!r}: {advice}" for phrase, advice in PHRASES.items() for match in re.finditer(phrase, text, re.I)
    ]


def test_no_banned_phrase_is_used():
    found = {
        str(path.relative_to(ROOT)): banned(path.read_text(encoding="utf-8"))
        for path in files()
        if GENERATED not in path.parents
    }
    assert {path: phrases for path, phrases in found.items() if phrases} == {}


@pytest.mark.parametrize(
    "text", ["'x' is no tensor", "for whoever asks", "it brings an op", "Untold sizes", "so many bytes"]
)
def test_a_banned_phrase_is_found(text):
    assert banned(text)


@pytest.mark.parametrize("text", ["there is no such file", "it is no longer used", "'x' is not a tensor", "bring up"])
def test_plain_words_are_not(text):
    assert banned(text) == []
