"""The life of a V2 class, call by call, in TensorRT's order; every object that is made is destroyed."""

import re

LIFE = """\
  0 createPlugin
  1 setPluginNamespace
  1 getNbOutputs
  1 getOutputDataType
  1 getOutputDimensions
outputs: 1 of type 0 [(N + 1)]
  1 supportsFormatCombination
supports 0: 1
  1 supportsFormatCombination
supports 1: 1
  1 clone
  1 left
  1 destroy
destroy: done
  2 configurePlugin -1 in 3..5
  2 initialize
  2 getWorkspaceSize
workspace: 20
  2 clone
  3 attachToContext
  3 configurePlugin 3 in 3..3
  3 enqueue
  3 enqueue
y: 0.5 2.5 4.5 0.5
  3 configurePlugin 5 in 5..5
  3 enqueue
  3 enqueue
y: 0.5 2.5 4.5 6.5 8.5 0.5
  3 detachFromContext
  1 left
  3 destroy
drop_context: done
  2 getSerializationSize
  2 serialize
  2 terminate
  0 left
  2 destroy
destroy: done
load:
  0 deserializePlugin
  4 setPluginNamespace
  4 initialize
  4 getWorkspaceSize
workspace: 20
  4 clone
  5 attachToContext
  5 configurePlugin 3 in 3..3
  5 enqueue
  5 enqueue
y: 0.5 2.5 4.5 0.5
  5 configurePlugin 5 in 5..5
  5 enqueue
  5 enqueue
y: 0.5 2.5 4.5 6.5 8.5 0.5
  5 detachFromContext
  1 left
  5 destroy
drop_context: done
  4 terminate
  0 left
  4 destroy
destroy: done
load of 3 bytes: PLAN_CORRUPT, dovetail::Error: Probe::deserializePlugin(): 3 bytes of state, expected 88 \
[probe.cpp]
"""


def test_every_call_comes_in_tensorrts_order(toolchain, host, probe):
    assert toolchain.run(host, "run", probe, "acme::Probe@1") == LIFE.splitlines()


def test_fields_reach_the_plugin_and_its_copy(toolchain, host, probe):
    lines = toolchain.run(host, "run", probe, "acme::Probe@1", "gain:f32=3", "bias:f32=-1")
    assert [line for line in lines if line.startswith("y:")] == ["y: -1 2 5 -1", "y: -1 2 5 8 11 -1"] * 2


def test_the_creator_gives_the_schema(toolchain, host, probe):
    assert toolchain.run(host, "list", probe) == [
        "plugin probe 1.2.3 namespace 'acme' vendor Acme, 1 ops, 1 implementations",
        "op acme::Probe@1: y = gain * x + bias, with one row more.",
        "field gain type 1 length 1..1, has a default, range -8..8 Factor.",
        "field bias type 1 length 0..-1 range nan..nan ",
        "field fail type 6 length 0..-1 range nan..nan ",
        "field how type 6 length 0..-1 range nan..nan ",
        "implementation acme::Probe@1#cpu device 1 traits 1",
    ]


def balance(lines: list[str]) -> dict[str, int]:
    """How many times each pair of calls is out of step; objects that were made and are left."""
    calls = re.findall(r"^  \d+ (\w+)", "\n".join(lines), re.MULTILINE)
    left = [int(n) for n in re.findall(r"^  (\d+) left$", "\n".join(lines), re.MULTILINE)]
    return {
        "initialize": calls.count("initialize") - calls.count("terminate"),
        "attach": calls.count("attachToContext") - calls.count("detachFromContext"),
        "left": left[-1] if left else 0,
    }


def test_what_is_begun_is_ended(toolchain, host, probe):
    assert balance(toolchain.run(host, "run", probe, "acme::Probe@1")) == {
        "initialize": 0,
        "attach": 0,
        "left": 0,
    }
