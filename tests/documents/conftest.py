"""The frame that the layer pages' scripts share: one input, one layer, build, load, run."""

from functools import partial

import numpy as np
import pytest

import dovetail as trt


class Script:
    """A script of the pages around the lines that each example replaces."""

    def __init__(self, shape, device):
        self.builder = trt.Builder(trt.Logger(trt.Logger.ERROR))
        flags = 1 << int(trt.NetworkDefinitionCreationFlag.EXPLICIT_BATCH)
        self.network = self.builder.create_network(flags)
        self.config = self.builder.create_builder_config()
        self.config.default_device_type = device
        self.input = self.network.add_input("inputT0", trt.DataType.FLOAT, shape)

    def run(self, layer, data):
        """The output of `layer` for `data`, whose first elements fill the input."""
        self.network.mark_output(layer.get_output(0))
        plan = self.builder.build_serialized_network(self.network, self.config)
        engine = trt.Runtime(self.builder.logger).deserialize_cuda_engine(plan)
        context = engine.create_execution_context()
        n_elements = int(np.prod(self.input.shape))
        outputs = context.run({"inputT0": data.reshape(-1)[:n_elements].reshape(self.input.shape)})
        return next(iter(outputs.values()))


@pytest.fixture(params=["cpu", pytest.param("gpu", marks=pytest.mark.gpu)])
def script(request):
    """script(shape): a page's script, for each device."""
    device = trt.DeviceType.GPU if request.param == "gpu" else trt.DeviceType.CPU
    return partial(Script, device=device)
