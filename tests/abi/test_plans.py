"""Plans that hand a V2 plugin tensors which it never agreed to: it is asked again when they are loaded, as rows are."""

from pathlib import Path

import numpy as np
import pytest

from dovetail import _native
from dovetail.core.errors import DovetailError, PlanCorrupt, PlanVersionError, PluginFailed, ShapeError
from tests.runtime.plans import Draft

POSTERIZE = Path(__file__).parents[2] / "examples" / "plugins" / "cpp_v2" / "posterize.cpp"
HALF, INT8, HWC = 1, 2, 8


@pytest.fixture(scope="module", autouse=True)
def library(toolchain):
    """Offered to engines alone: no registry of other tests hears of it."""
    library = _native.open_library(str(toolchain.build(POSTERIZE)))
    for implementation in library.implementations:
        _native.register_implementation(implementation, None)
    yield library
    for implementation in library.implementations:
        _native.deregister_implementation(implementation.id)


def posterized(dims=(2, 3), low=None, high=None) -> Draft:
    """y = posterize(x) with 3 levels, as the builder writes it."""
    draft = Draft("posterized")
    open_axis = {"program": draft.add_program(1, 0, 0)}
    known = [open_axis if low else dims[0], *dims[1:]]
    x = draft.add_tensor("x", known, "input")
    y = draft.add_tensor("y", list(known), "output")
    draft.add_step("acme::Posterize@1#cpu", [x], [y], state=draft.add_constant(np.int32([3])))
    ends = [low or dims[0], dims[0], high or dims[0]]
    draft.add_profile([[extent, *dims[1:]] for extent in ends])
    return draft


def run(draft, *shape):
    context = _native.Context(_native.Engine(draft.to_bytes()))
    x = np.linspace(0, 1, int(np.prod(shape)), dtype=np.float32).reshape(shape)
    y = np.full(100_000, 7, np.float32)
    context.set_input(0, x)
    context.set_buffer(1, y)
    context.execute()
    np.testing.assert_allclose(y[: x.size], np.floor(x.reshape(-1) * 2 + 0.5) / 2)
    assert (y[x.size :] == 7).all()


def test_the_plan_is_good():
    run(posterized(), 2, 3)
    run(posterized(low=1, high=9), 5, 3)


def tensor(draft, name):
    return next(tensor for tensor in draft.plan["tensors"] if tensor["name"] == name)


def step(draft):
    return draft.plan["steps"][0]


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (lambda d: tensor(d, "y").update(dims=[2, 1]), r"output 0 is [2, 3], not [2, 1]"),
        (lambda d: tensor(d, "y").update(dims=[2]), r"output 0 is [2, 3], not [2]"),
        (lambda d: tensor(d, "y").update(dims=[]), r"output 0 is [2, 3], not []"),
        (lambda d: tensor(d, "y").update(dtype=INT8), "output 0 is Float, not Int8"),
        (lambda d: tensor(d, "x").update(dtype=HALF), "output 0 is Half, not Float"),
        (lambda d: [tensor(d, name).update(dtype=HALF) for name in "xy"], "supportsFormatCombination refuses tensor 0"),
        (lambda d: step(d).update(inputs=[-1]), "it takes no absent inputs"),
        (lambda d: step(d).update(inputs=[]), "returned -1 for output 0, which is not a data type"),
        (lambda d: step(d).update(inputs=[0, 0]), "takes one input, not 2"),
        (
            lambda d: (step(d).update(inputs=[]), tensor(d, "y").update(dims=[])),
            "returned -1 for output 0, which is not a data type",
        ),
        (lambda d: (d.add_tensor("z", [2, 3]), step(d).update(outputs=[1, 2])), "it has 1 outputs, the plan 2"),
        (lambda d: d.plan["constants"][0].update(bytes=3), "3 bytes of state, expected 4"),
        (lambda d: d.plan["constants"][0].update(bytes=0), "0 bytes of state, expected 4"),
    ],
)
def test_what_the_plugin_never_agreed_to_is_refused(change, text):
    draft = posterized()
    draft.plan["profiles"] = []
    change(draft)
    draft.add_profile([[2, 3]] * 3)
    with pytest.raises((PlanCorrupt, PlanVersionError, PluginFailed, ShapeError)) as error:
        _native.Engine(draft.to_bytes())
    assert text in str(error.value)
    assert "layer0" in str(error.value)


def test_a_format_that_the_plugin_does_not_take_is_refused():
    draft = posterized((1, 3, 2, 2))
    tensor(draft, "x")["format"] = HWC
    with pytest.raises(PlanVersionError, match="supportsFormatCombination refuses tensor 1"):
        _native.Engine(draft.to_bytes())


def test_extents_that_agree_at_the_ends_of_the_profile_alone_are_refused_in_use():
    """y has as many rows as x, but for six: one less, where nothing was asked when the plan was loaded."""
    draft = posterized((4, 3), low=1, high=9)
    less_at_six = [1, 0, 0, 1, 0, 0, 0, 6, 16 + 5, 16 + 4]  # x - (x == 6)
    draft.plan["programs"].append(less_at_six)
    tensor(draft, "y")["dims"][0] = {"program": len(draft.plan["programs"]) - 1}
    run(draft, 5, 3)
    with pytest.raises(ShapeError, match=r"output 0 is \[6, 3\], not \[5, 3\]") as error:
        run(draft, 6, 3)
    assert error.value.layer == "layer0"


def test_extents_that_are_wrong_at_one_end_of_the_profile_are_refused_when_it_is_loaded():
    for extent in (1, 4, 9):
        draft = posterized((4, 3), low=1, high=9)
        draft.plan["programs"].append([1, 0, 0, 1, 0, 0, 0, extent, 16 + 5, 16 + 4])
        tensor(draft, "y")["dims"][0] = {"program": len(draft.plan["programs"]) - 1}
        with pytest.raises(DovetailError, match=rf"output 0 is \[{extent}, 3\], not \[{extent - 1}, 3\]"):
            _native.Engine(draft.to_bytes())
