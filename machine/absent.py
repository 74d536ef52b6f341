"""Names of TensorRT that are not in this version of dovetail, each with advice; using one raises NotAvailable."""

from __future__ import annotations

from typing import Any

from dovetail.core.errors import NotAvailable

UNROLL = (
    "There is no control flow at run time: add the layers of the body once for each repetition, or for both branches "
    "and choose with network.add_select. Recurrences are layers too: add_lstm, add_gru, add_rnn, add_cumulative."
)
V3 = (
    "Derive from trt.IPluginV2DynamicExt, or write a function with @trt.op; docs/writing-a-plugin.md shows both, in "
    "Python and C++."
)
NO_REFIT = "Engines cannot be refitted: build a new plan with the new weights."
_CONFIG = "A context has no configuration of its own: create_execution_context() makes one."

NETWORK = {
    "add_loop": UNROLL,
    "add_if_conditional": UNROLL,
    "add_plugin_v3": V3,
    "add_plugin_ext": V3,
    "add_normalization_v2": "Use network.add_normalization.",
    "add_dynamic_quantize": "Use network.add_quantize, whose scale may be computed by layers.",
    "add_dynamic_quantize_v2": "Use network.add_quantize, whose scale may be computed by layers.",
    "add_kv_cache_update": "Use network.add_scatter into a tensor that is an input and an output.",
    "add_dist_collective": "An engine runs on one device: exchange tensors between engines outside.",
    "add_moe": "Use add_topk, add_gather and add_matrix_multiply.",
    "set_weights_name": NO_REFIT,
    "mark_weights_refittable": NO_REFIT,
    "are_weights_marked_refittable": NO_REFIT,
    "mark_debug": "Mark the tensor as an output of the network to see it.",
    "unmark_debug": "Mark the tensor as an output of the network to see it.",
    "is_debug_tensor": "Mark the tensor as an output of the network to see it.",
    "remove_tensor": "Build the network without the tensor.",
}

ENGINE = {
    "create_runtime_config": _CONFIG,
    "create_serialization_config": "engine.serialize() gives the plan.",
    "serialize_with_config": "engine.serialize() gives the plan.",
    "streamable_weights_size": "All weights lie on the device of their layers.",
    "weight_streaming_budget": "All weights lie on the device of their layers.",
    "weight_streaming_budget_v2": "All weights lie on the device of their layers.",
    "weight_streaming_scratch_memory_size": "All weights lie on the device of their layers.",
    "get_weight_streaming_automatic_budget": "All weights lie on the device of their layers.",
    "is_debug_tensor": "Mark the tensor as an output of the network to see it.",
}

CONTEXT = {
    "set_communicator": "An engine runs on one device: exchange tensors between engines outside.",
    "set_debug_listener": "Mark tensors as outputs of the network to see them.",
    "set_tensor_debug_state": "Mark tensors as outputs of the network to see them.",
}

RUNTIME = {
    "load_runtime": "A plan is read by the version of dovetail that wrote it.",
    "deserialize_library": "A plan never holds code. registry.load_library(path) opens a plugin library.",
}

LAYER = {
    "num_ranks": "An engine runs on one device.",
}

# Classes and modules of the package itself.
MODULE = {
    "Refitter": NO_REFIT,
    "OnnxParserRefitter": NO_REFIT,
    "ILoop": UNROLL,
    "ILoopLayer": UNROLL,
    "ILoopBoundaryLayer": UNROLL,
    "ILoopOutputLayer": UNROLL,
    "IIteratorLayer": UNROLL,
    "IRecurrenceLayer": UNROLL,
    "ITripLimitLayer": UNROLL,
    "IIfConditional": UNROLL,
    "IConditionLayer": UNROLL,
    "IIfConditionalBoundaryLayer": UNROLL,
    "IIfConditionalInputLayer": UNROLL,
    "IIfConditionalOutputLayer": UNROLL,
    "IPluginV3": V3,
    "IPluginV3Layer": V3,
    "IPluginV3OneCore": V3,
    "IPluginV3OneBuild": V3,
    "IPluginV3OneBuildV2": V3,
    "IPluginV3OneRuntime": V3,
    "IPluginV3QuickCore": V3,
    "IPluginV3QuickBuild": V3,
    "IPluginV3QuickRuntime": V3,
    "IPluginV3QuickAOTBuild": V3,
    "IPluginCreatorV3One": V3,
    "IPluginCreatorV3Quick": V3,
    "IPluginCapability": V3,
    "IPluginResource": V3,
    "IPluginResourceContext": V3,
    "PluginCapabilityType": V3,
    "TensorRTPhase": V3,
    "PluginFieldCollection_": "Use trt.PluginFieldCollection.",
    "plugin": V3,
    "IRuntimeConfig": _CONFIG,
    "ISerializationConfig": "engine.serialize() gives the plan.",
    "SerializationFlag": "engine.serialize() gives the plan.",
    "CudaGraphStrategy": "Capture execute_async_v3 into a CUDA graph.",
    "DynamicShapesKernelSpecializationStrategy": "Kernels are chosen by the build, at the profile's opt.",
    "CollectiveOperation": "An engine runs on one device: exchange tensors between engines outside.",
    "KVCacheMode": "Use network.add_scatter into a tensor that is an input and an output.",
    "MoEActType": "Use add_topk, add_gather and add_matrix_multiply.",
    "IDebugListener": "Mark tensors as outputs of the network to see them.",
    "IStreamReader": "Runtime.deserialize_cuda_engine takes the path of a plan, and maps it.",
    "IStreamWriter": "plan.save(path) writes a plan.",
    "UffParser": "UFF models are not read. Convert the model to ONNX and use trt.OnnxParser.",
    "CaffeParser": "Caffe models are not read. Convert the model to ONNX and use trt.OnnxParser.",
    "IDynamicQuantizeLayer": "Use network.add_quantize, whose scale may be computed by layers.",
    "IMoELayer": "Use add_topk, add_gather and add_matrix_multiply.",
    "IAttention": "network.add_attention returns an ILayer.",
}


class _AbsentType(type):
    """Classes that scripts may name, derive from and test with isinstance; any other use raises NotAvailable."""

    def __call__(cls, *args: Any, **kwargs: Any) -> Any:
        raise cls._refusal()

    def __getattr__(cls, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(f"type object '{cls.__name__}' has no attribute '{name}'")
        raise cls._refusal(name)

    def _refusal(cls, member: str = "") -> NotAvailable:
        name = cls._absent_name
        what = f"{name}.{member}" if member else name
        return NotAvailable(f"trt.{what} is not in this version of dovetail", hint=MODULE[name], field=what, got=what)


def named(name: str) -> type:
    """A class for `name`, one of `MODULE`, whose use raises NotAvailable. Raises KeyError."""
    if name not in _made:
        _made[name] = _AbsentType(name, (), {"_absent_name": name, "__doc__": MODULE[name], "__module__": __name__})
    return _made[name]


_made: dict[str, type] = {}
