"""The generator of DCGAN (Radford et al. 2015): noise to a picture of 64 x 64 by five deconvolutions."""

from __future__ import annotations

import onnx
from graph import Graph


def dcgan(
    batch: int | str = 1,
    opset: int = 13,
    folded: bool = False,
    width: int = 64,
    noise: int = 100,
) -> onnx.ModelProto:
    g = Graph("dcgan", opset, folded=folded)
    x = g.input("noise", [batch, noise, 1, 1])
    x = g.relu(g.deconv(x, width * 8, kernel=4, stride=4, normalized=True))  # one pixel: any stride gives the same
    for factor in (4, 2, 1):
        x = g.relu(g.deconv(x, width * factor, kernel=4, stride=2, pad=1, normalized=True))
    x = g.op("Tanh", g.deconv(x, 3, kernel=4, stride=2, pad=1, gain=0.5, bias=0.0))
    g.output(x, "picture", [batch, 3, 64, 64])
    return g.model()
