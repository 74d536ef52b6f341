"""docs/errors.md has a row for each class of core/errors.py, with its bases, code and docstring."""

import re
from pathlib import Path

from dovetail.core.errors import DovetailError, by_code

PAGE = Path(__file__).parents[2] / "docs" / "errors.md"


def tree(error: type[DovetailError]) -> list[type[DovetailError]]:
    """The class and those of dovetail that derive from it, each before its own."""
    below = [one for one in error.__subclasses__() if one.__module__ == DovetailError.__module__]
    return [error, *(found for one in below for found in tree(one))]


def rows() -> list[list[str]]:
    lines = PAGE.read_text(encoding="utf-8").partition("| class |")[2].partition("\n\n")[0].splitlines()[2:]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines]


def test_the_table_is_what_the_classes_are():
    expected = [
        (one.__name__, [base.__name__ for base in one.__bases__], one.code, one.__doc__.splitlines()[0])
        for one in tree(DovetailError)
    ]
    found = [(name[1:-1], bases[1:-1].split("`, `"), int(code), meaning) for name, bases, code, meaning, _ in rows()]
    assert found == expected


def test_each_row_says_what_to_do():
    assert [row[0] for row in rows() if len(row) != 5 or not row[4].endswith(".")] == []


def test_every_code_of_the_interface_is_in_the_table():
    assert {str(code) for code in by_code} <= {row[2] for row in rows()}


def test_links_within_the_page_and_names_of_settings_are_real():
    text = PAGE.read_text(encoding="utf-8")
    sources = [path.read_text(encoding="utf-8") for path in PAGE.parents[1].glob("registry/*.py")]
    sources += [path.read_text(encoding="utf-8") for path in PAGE.parents[1].glob("[cm]*/**/*.py")]
    sources += [path.read_text(encoding="utf-8") for path in PAGE.parents[1].glob("csrc/**/*.cpp")]
    for name in set(re.findall(r"DOVETAIL_[A-Z_]+", text)):
        assert any(name in source for source in sources), name
