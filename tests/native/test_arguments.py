"""Arguments that make no sense, to everything that `_native` offers: an exception each time, never a crash."""

import subprocess
import sys
import textwrap

import numpy as np
import pytest

import dovetail as trt
from dovetail import _native
from dovetail.core.errors import DovetailError
from dovetail.core.tensor import TensorDesc

CODE = """
    import inspect, itertools, os, random, sys
    import numpy as np
    import dovetail as trt
    from dovetail import _native
    from dovetail.core.tensor import TensorDesc

    builder = trt.Builder(trt.Logger(trt.Logger.INTERNAL_ERROR))
    network = builder.create_network()
    layer = network.add_activation(network.add_input("x", trt.float32, (8,)), trt.ActivationType.RELU)
    network.mark_output(layer.get_output(0))
    plan = bytes(builder.build_serialized_network(network, builder.create_builder_config()))
    engine = _native.Engine(plan)
    folder = os.path.join(os.path.dirname(_native.__file__), "lib")
    library = _native.open_library(os.path.join(folder, "libdovetail_cpu.so"))
    relu = next(i for i in library.implementations if i.id == "Activation@1#cpu")
    made = relu.create("layer", [("type", 5, 0)])
    desc = TensorDesc((8,), trt.float32)
    pair = (desc, np.zeros(8, np.float32))
    trial = relu.trial(made, 0, [pair], [pair])
    others = [
        *_native.open_library(sys.argv[1]).ops, trial, _native.CacheState(1, 4096),
        _native.HostMemory(b"bytes"), _native.DeviceArray(4096, [2, 3]), _native.DLPackArray(np.zeros(3).__dlpack__()),
    ]
    garbage = [
        None, -1, 0, 3, 2**31 - 1, 2**31, 2**63 - 1, 2**64 - 1, -(2**63), 2**70, 1.5, float("nan"), "x", "", "a\\0b",
        b"", [], [None], [[]], (), {}, object(), [1] * 9, [2**62] * 8, [-1], desc, [desc], [desc, None], engine,
        made, relu, np.zeros(0), np.zeros((2, 2)), [(desc, np.zeros(8, np.float32))], [(desc, np.zeros(1, np.float32))],
        [("type", 5, 0)], [("type", 5, "x")], [("w", 64, None)], type, print,
    ]
    # Addresses are numbers that nobody can check; these replace what the process prints and raises.
    skipped = {"set_address", "set_device_memory", "copy", "set_error_factory", "set_desc_factory", "set_log_sink"}
    chance = random.Random(SEED)

    def attempt(function):
        arguments = [chance.choice(garbage) for _ in range(chance.randrange(9))]
        try:
            function(*arguments)
        except Exception:
            return
        except SystemError as error:
            sys.exit(f"{function}{arguments}: {error}")

    def methods(owner):
        names = [name for name in dir(owner) if not name.startswith("_") and name not in skipped]
        return [getattr(owner, name) for name in names if callable(getattr(owner, name, None))]

    for round in range(40):
        context = _native.Context(engine)
        for owner in (_native, engine, context, library, relu, made, *others):
            for function in methods(owner):
                attempt(function)
        _native.register_implementation(relu, None)
    print("alive")
"""


@pytest.mark.parametrize("seed", range(3))
def test_garbage_is_refused(seed, compile_plugin):
    code = textwrap.dedent(CODE).replace("SEED", str(seed))
    command = [sys.executable, "-c", code, compile_plugin("scale.c")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.splitlines()[-1:] == ["alive"]


@pytest.mark.parametrize("argument", [None, 0, "engine", object()])
def test_where_an_object_is_needed_none_is_a_type_error(argument):
    with pytest.raises(TypeError):
        _native.Context(argument)
    library = _native.open_library(f"{_native.__file__.rpartition('/')[0]}/lib/libdovetail_cpu.so")
    relu = next(i for i in library.implementations if i.id == "Activation@1#cpu")
    for call in (
        lambda: relu.fits(argument, 0, [], []),
        lambda: relu.configure(argument, [], []),
        lambda: relu.prepare(argument, 0, [], []),
        lambda: relu.workspace(argument, 0, [], []),
        lambda: relu.run_step(argument, 0, [], []),
        lambda: relu.supports(argument, 0, [], 0, 0),
    ):
        with pytest.raises(TypeError):
            call()


STRANGER = """
    import inspect, sys
    from dovetail import _native

    called = 0
    for _, cls in inspect.getmembers(_native, inspect.isclass):
        for name, method in vars(cls).items():
            if name.startswith("_") or not callable(method):
                continue
            for n_arguments in range(10):
                try:
                    method(*[3] * (1 + n_arguments))
                except TypeError:
                    called += 1
                    continue
                sys.exit(f"{cls}.{name} took an int for itself and {n_arguments} arguments")
    print("refused" if called else "nothing called")
"""


def test_a_method_refuses_an_object_of_another_class():
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(STRANGER)], capture_output=True, text=True, timeout=99)
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.splitlines() == ["refused"]


UNMADE = """
    import inspect, sys
    import numpy as np
    from dovetail import _native
    from dovetail.machine.device_array import DeviceArray
    from dovetail.machine.plan import IHostMemory

    refused = (TypeError, RuntimeError, BufferError, AttributeError)
    classes = {cls for _, cls in inspect.getmembers(_native, inspect.isclass)} | {DeviceArray, IHostMemory}
    derived = [type("Derived", (cls,), {"__init__": lambda self: None}) for cls in classes]
    left = 0
    for cls in [*classes, *derived]:
        try:
            unmade = cls.__new__(cls)
        except TypeError as error:
            assert "cannot be made from Python" in str(error) or "is not safe" in str(error), error
            left += 1
            continue
        native = next(base for base in cls.__mro__ if base.__module__ == "dovetail._native")
        for name in set(vars(native)) - {"__doc__", "__module__", "__new__", "__init__", "__dict__"}:
            for n_arguments in range(10):
                try:
                    member = getattr(unmade, name)
                    member(*[0] * n_arguments)
                except refused:
                    continue
                if name != "__exit__":  # CurrentDevice's does nothing
                    sys.exit(f"{cls}.{name} took {n_arguments} arguments")
        for use in (memoryview, bytes, len, _native.Engine, _native.Context, np.asarray):
            try:
                use(unmade)
            except refused:
                continue
            assert use is np.asarray, (cls, use)  # it makes an array of objects of anything
    assert len(classes) >= 16 and 0 < left < 2 * len(classes), (len(classes), left)
    print("refused")
"""


def test_an_object_that_was_never_made_is_refused():
    """Of every class of the module: `__new__` without `__init__`, and a class that derives and forgets it."""
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(UNMADE)], capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.splitlines() == ["refused"]


WALK = """
    import inspect, sys, types
    import numpy as np
    from dovetail import _native

    def classes_of(module):
        for member in vars(module).values():
            if inspect.isclass(member) and member.__module__.startswith("dovetail._native"):
                yield member
            if isinstance(member, types.ModuleType):
                yield from classes_of(member)

    def functions_of(cls):
        for name, member in vars(cls).items():
            if isinstance(member, property):
                yield from ((f"{name}.{part}", getattr(member, part)) for part in ("fget", "fset"))
            elif callable(member) and name not in ("__new__", "__init__"):
                yield name, member

    def unmade(cls):
        derived = type("Derived", (cls,), {"__init__": lambda self: None})
        for one in (cls, derived):
            try:
                yield one.__new__(one)
            except TypeError:
                pass

    garbage = [None, object(), 3, -1, 1.5, "x", b"x", (), [None], {}, 2**70, np.zeros(2), print]
    called = 0
    for cls in classes_of(_native):
        selves = [None, object(), 3, cls, *unmade(cls)]
        for name, function in functions_of(cls):
            if function is None:
                continue
            print(cls.__name__, name, file=sys.stderr, flush=True)  # what a crash was in
            for arguments in [(), *((one, *[x] * n) for one in selves for n in range(13) for x in garbage)]:
                for words in ({}, {"self": None}):
                    called += 1
                    try:
                        function(*arguments, **words)
                    except SystemError as error:
                        sys.exit(f"{cls}.{name}{arguments}: {error}")
                    except Exception:
                        continue
                    sys.exit(f"{cls}.{name} took {arguments} {words}")
    assert called > 100_000, called
    print("alive")
"""


def test_no_method_or_property_takes_anything_but_a_made_object_for_itself():
    """Each is called with nothing, None, strangers and objects never made for itself, and with nonsense behind."""
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(WALK)], capture_output=True, text=True, timeout=300)
    assert (done.returncode, done.stdout.splitlines()) == (0, ["alive"]), done.stderr[-300:]


@pytest.mark.parametrize("repeat", [-1, 2**20 + 1, 2**30, 2**31 - 1])
def test_a_trial_runs_a_number_of_times_that_it_can_keep_the_times_of(repeat):
    """On a device twice the number, which is that of its events, is beyond 32 bits from 2**30 on."""
    library = _native.open_library(f"{_native.__file__.rpartition('/')[0]}/lib/libdovetail_cpu.so")
    relu = next(i for i in library.implementations if i.id == "Activation@1#cpu")
    made, pair = relu.create("layer", [("type", 5, 0)]), (TensorDesc((8,), trt.float32), np.zeros(8, np.float32))
    trial = relu.trial(made, 0, [pair], [pair])
    assert len(trial.run(3)) == 3
    for run in (lambda: trial.run(repeat), lambda: relu.run_step(made, 0, [pair], [pair], repeat=repeat)):
        with pytest.raises(DovetailError, match=rf"Activation@1#cpu cannot be run {repeat} times(.|\n)*0..1048576"):
            run()
