"""The bench for plugins: what it says where there is nothing to test, and that it needs no pytest."""

from __future__ import annotations

import subprocess
import sys
from unittest import SkipTest

import numpy as np
import pytest

import dovetail as trt
from dovetail.core.errors import DefinitionError, NoImplementation, PluginNotFound
from dovetail.core.types import DataType, DeviceType
from dovetail.machine.testing import Case, check, check_case, check_now
from dovetail.plugins import Input, Output, Plugin
from dovetail.registry.native_tables import withdraw
from dovetail.registry.registry import Registry


class Plus(Plugin):
    """y = x + 1."""

    namespace = "bench"
    x = Input(trt.float32)
    y = Output(like="x")
    by: int = 1

    def reference(self, x):
        return x + 1

    def enqueue(self, inputs, outputs, workspace, stream):
        np.add(inputs[0], 1, out=outputs[0])


class Bare(Plugin):
    """y = x."""

    namespace = "bench"
    x = Input(trt.float32)
    y = Output(like="x")


class Wrong(Plus):
    """y = x + 1, but it is not."""

    def enqueue(self, inputs, outputs, workspace, stream):
        np.add(inputs[0], 2, out=outputs[0])


@pytest.fixture
def lookup():
    registry = Registry()
    registry.parent = trt.get_plugin_registry()
    for op in (Plus, Bare, Wrong):
        registry.add_op(op)
    yield registry
    for implementation in registry.implementations():
        withdraw(implementation)


def test_every_row_is_run(lookup):
    assert check_case(lookup, "bench::Plus@1", Case("line", x=(5,))) == 2
    assert check_case(lookup, "bench::Plus@1#python", Case("line", x=(5,))) == 1


def test_only_the_implementation_that_is_tested_is_asked(lookup, monkeypatch):
    from dovetail.machine import testing

    asked, negotiate = [], testing.negotiate

    def noting(implementation, *arguments):
        asked.append(implementation.name)
        return negotiate(implementation, *arguments)

    monkeypatch.setattr(testing, "negotiate", noting)
    check_case(lookup, "bench::Plus@1#python", Case("line", x=(5,)))
    assert asked == ["python"]


def test_an_unknown_op_is_named_with_what_is_near(lookup):
    with pytest.raises(PluginNotFound, match="no plugin bench::Pluss@1\n  bench::Plus@1"):
        check_case(lookup, "bench::Pluss@1", Case("line", x=(5,)))


def test_an_unknown_implementation_is_named_with_those_that_exist(lookup):
    with pytest.raises(NoImplementation, match=r"no implementation 'fast'\n  implementations  python, reference"):
        check_case(lookup, "bench::Plus@1#fast", Case("line", x=(5,)))


def test_an_op_that_nothing_computes_is_not_a_test_that_passed(lookup):
    with pytest.raises(NoImplementation, match="bench::Bare@1 has no implementation, so that nothing can be tested"):
        check_case(lookup, "bench::Bare@1", Case("line", x=(5,)))


def test_what_does_not_fit_is_skipped_with_the_reasons(lookup):
    with pytest.raises(SkipTest, match="is not for the GPU"):
        check_case(lookup, "bench::Plus@1", Case("line", x=(5,)), device=DeviceType.GPU)


@pytest.mark.parametrize(
    ("case", "words"),
    [
        (Case("a", x=(5,), alpha=1), ["case 'a' of bench::Plus@1 gives 'alpha'", "inputs  x", "fields  by"]),
        (Case("b", x=5), ["case 'b' of bench::Plus@1 gives 'x' as 5", "(2, 3)"]),
        (Case("b", x="ab"), ["case 'b' of bench::Plus@1 gives 'x' as 'ab'", "(2, 3)"]),
        (Case("b", x=(2, -1)), ["case 'b' of bench::Plus@1 gives 'x' as (2, -1)", "(2, 3)"]),
        (Case("c"), ["lacks its input 'x'"]),
    ],
)
def test_a_case_that_does_not_fit_the_op_is_told_so(lookup, case, words):
    with pytest.raises(DefinitionError) as error:
        check_case(lookup, "bench::Plus@1", case)
    assert all(word in str(error.value) for word in words), str(error.value)


def test_low_and_high_are_the_fields_of_layers_that_have_them():
    lookup = trt.get_plugin_registry()
    case = Case("limits", x=(50,), low=2, high=3)
    [x], fields = case.arrays(lookup, "Activation@1", DataType.FLOAT)
    assert x.min() >= 2 and x.max() <= 3 and not fields.keys() & {"low", "high"}
    zeros, factors = dict.fromkeys(("a_zero", "b_zero", "y_zero"), 0), dict.fromkeys(("a_factor", "b_factor"), 1.0)
    case = Case("limits", a=(50,), b=(50,), low=60, high=150, **zeros, **factors)
    _, fields = case.arrays(lookup, "QuantizedAddition@1", DataType.UINT8)
    assert (fields["low"], fields["high"]) == (60, 150)


def test_all_cases_at_once(lookup):
    check_now("bench::Plus@1", [Case("line", x=(5,)), Case("empty", x=(0, 2))], lookup)
    with pytest.raises(AssertionError, match="case 'line', FLOAT: bench::Wrong@1#python:enqueue"):
        check_now("bench::Wrong@1", [Case("line", x=(5,))], lookup)


@pytest.mark.parametrize("run", [check, check_now])
@pytest.mark.parametrize(
    ("op", "cases", "words"),
    [
        ("bench::Plus@1", [], "check of bench::Plus@1 takes a list of cases\n  got  \\[\\]"),
        ("bench::Plus@1", Case("line", x=(5,)), "takes a list of cases"),
        ("bench::Plus@1", ["line"], "got  \\['line'\\]"),
        ("", [Case("line", x=(5,))], "cannot take '' as an op"),
        (Plus, [Case("line", x=(5,))], 'Give its name, here "bench::Plus@1"'),
        ("bench::Plus@1", [Case("line", x=(5,), dtypes=())], "case 'line' of bench::Plus@1 has no dtypes"),
    ],
)
def test_a_test_of_nothing_is_refused(run, op, cases, words):
    with pytest.raises(DefinitionError, match=words):
        run(op, cases)


test_plus = check("Scale@1", [Case("one channel", x=(1, 3, 2, 2))])  # as authors write it

WITHOUT_PYTEST = """
import sys
sys.modules["pytest"] = None  # as if it were not installed
from dovetail.machine.testing import Case, check
check("SoftMax@1", [Case("odd", x=(3, 7), axes=2)])()
try:
    check("SoftMx@1", [Case("odd", x=(3, 7))])()
except LookupError as error:
    print(error)
"""


def test_it_works_without_pytest():
    done = subprocess.run([sys.executable, "-c", WITHOUT_PYTEST], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "no plugin SoftMx@1" in done.stdout and "SoftMax@1" in done.stdout
