"""Links and tables of the documents: a link goes to a file and a heading that are there, tables have whole rows."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DOCUMENTS = sorted(
    {*ROOT.glob("*.md"), *(p for f in ("docs", "examples", "tests", "benchmarks") for p in (ROOT / f).rglob("*.md"))}
)
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")


def prose(path: Path) -> str:
    """The text without code, whose brackets are no links."""
    text = re.sub(r"^```.*?^```$", "", path.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    return re.sub(r"`[^`\n]*`", "code", text)


def anchors(path: Path) -> set[str]:
    """How GitHub calls the headings: lower case, without punctuation, a hyphen for each space."""
    text = re.sub(r"^```.*?^```$", "", path.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    heads = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads}


def broken(path: Path) -> list[str]:
    found = []
    for target in LINK.findall(prose(path)):
        place, _, anchor = target.partition("#")
        if ":" in place:
            continue
        file = (path.parent / place).resolve() if place else path
        if not file.exists():
            found.append(f"{target}: there is no such file")
        elif anchor and anchor not in anchors(file):
            found.append(f"{target}: there is no such heading")
    return found


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_links_go_somewhere(path):
    assert broken(path) == []


def test_every_document_is_in_the_index():
    index = ROOT / "docs" / "README.md"
    linked = {(index.parent / target.partition("#")[0]).resolve() for target in LINK.findall(prose(index))}
    assert [path.name for path in (ROOT / "docs").glob("*.md") if path not in linked | {index}] == []


def test_a_broken_link_is_found(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("# A page\n[here](#a-page) [gone](gone.md) [no](#head) `[x](code)` [web](https://example.org)\n")
    assert broken(page) == ["gone.md: there is no such file", "#head: there is no such heading"]


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_the_rows_of_a_table_have_as_many_cells_as_its_head(path):
    head = 0
    for line in prose(path).splitlines():
        cells = len(re.findall(r"(?<!\\)\|", line)) if line.startswith("|") else 0
        head = head if cells and head else cells
        assert cells in (0, head), line
