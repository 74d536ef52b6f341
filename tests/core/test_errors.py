"""Errors: what they look like, what catches them, and that no fact is lost on the way."""

import copy
import pickle

from pytest import mark, raises

from dovetail import _native
from dovetail.core import errors
from dovetail.core.errors import DovetailError, LibraryRefused, ShapeError

CLASSES = [item for item in vars(errors).values() if isinstance(item, type) and issubclass(item, DovetailError)]


def test_a_text_is_a_sentence_then_aligned_facts_then_what_to_do():
    error = ShapeError(
        "MatrixMultiply@1 'fc1' cannot multiply a [B, 768] by b [512, 3072]",
        facts=[("last dimension of a", 768), ("first dimension of b", 512)],
        hint="If b is stored as [n, k], pass op1=MatrixOperation.TRANSPOSE.",
    )
    assert str(error).splitlines() == [
        "MatrixMultiply@1 'fc1' cannot multiply a [B, 768] by b [512, 3072]",
        "  last dimension of a   768",
        "  first dimension of b  512",
        "  If b is stored as [n, k], pass op1=MatrixOperation.TRANSPOSE.",
    ]


def test_a_fact_of_several_lines_stays_in_its_column():
    error = DovetailError("a plugin failed", facts=[("said", "one\ntwo"), ("plugin", "acme")])
    assert str(error) == "a plugin failed\n  said    one\n          two\n  plugin  acme"


def test_a_sentence_alone_is_the_whole_text():
    assert str(DovetailError("no plugin acme::NMS@3")) == "no plugin acme::NMS@3"


def test_every_keyword_becomes_an_attribute():
    error = ShapeError("does not fit", expected="-2..1", got=2)
    assert (error.expected, error.got) == ("-2..1", 2)


@mark.parametrize(
    ("name", "builtin"),
    [
        ("ShapeError", ValueError),
        ("DTypeError", TypeError),
        ("FieldValueError", ValueError),
        ("NoImplementation", RuntimeError),
        ("FormatError", RuntimeError),
        ("MemoryLimitError", MemoryError),
        ("PluginNotFound", LookupError),
        ("PluginConflict", ValueError),
        ("LibraryRefused", ImportError),
        ("ImplementationMismatch", TypeError),
        ("PluginFailed", RuntimeError),
        ("PlanVersionError", ValueError),
        ("PlanCorrupt", ValueError),
        ("ProfileError", ValueError),
        ("BindingError", ValueError),
        ("DeviceFault", RuntimeError),
    ],
)
def test_the_fitting_builtin_catches_it(name, builtin):
    with raises(builtin):
        raise getattr(errors, name)("cannot")


@mark.parametrize("kind", CLASSES, ids=lambda kind: kind.__name__)
@mark.parametrize("travel", [copy.copy, copy.deepcopy, lambda error: pickle.loads(pickle.dumps(error))])
def test_a_copy_keeps_text_and_attributes(kind, travel):
    error = kind("cannot", facts=[("left", 1)], hint="Do this.", plugin="acme")
    other = travel(error)
    assert (type(other), str(other), other.plugin, other.facts) == (kind, str(error), "acme", [("left", "1")])


def test_the_attributes_of_importerror_work_too():
    error = LibraryRefused("liba.so was not opened", path="/lib/liba.so", name="a")
    assert (error.path, error.name) == ("/lib/liba.so", "a")


def test_the_tree_in_the_docstring_is_the_tree():
    names = [line.split()[0] for line in errors.__doc__.splitlines() if line.startswith("    ")]
    assert sorted(names) == sorted(kind.__name__ for kind in CLASSES)


def test_every_native_code_but_ok_has_its_class():
    named = {value: name for _, value, name in _native.CODES if name}
    assert {code: kind.__name__ for code, kind in errors.by_code.items()} == named
    assert [kind.code for kind in errors.by_code.values()] == list(errors.by_code)


def test_a_native_failure_becomes_its_class_with_the_same_words():
    error = errors.from_native(ShapeError.code, "cannot", [("axis", "3")], "Try axis 2.")
    assert type(error) is ShapeError
    assert str(error) == "cannot\n  axis  3\n  Try axis 2."


def test_a_code_of_a_later_version_is_still_told():
    error = errors.from_native(4711, "cannot", [], "")
    assert type(error) is DovetailError
    assert (error.code, str(error)) == (4711, "cannot\n  code  4711, unknown to this version")


def test_a_very_long_text_is_shortened_and_the_attributes_are_not():
    long = "x" * 100_000
    error = ShapeError(f"cannot take {long}", facts=[("got", long), *[("row", "no")] * 500], hint=long, got=long)
    text = str(error)
    assert len(text) < 15_000
    assert text.startswith("cannot take xxx") and "more characters ..." in text.splitlines()[0]
    assert "  ... 441 more lines, in the attribute `facts`" in text.splitlines()
    assert error.got == long and error.facts[0] == ("got", long) and error.hint == long


def test_a_text_of_the_longest_length_is_whole():
    assert str(DovetailError("x" * errors.MOST_CHARACTERS)) == "x" * errors.MOST_CHARACTERS
