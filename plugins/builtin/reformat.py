"""Reformat."""

from __future__ import annotations

from dovetail.plugins import Input, Output, Plugin


class Reformat(Plugin):
    """y = x, with its elements in the order of another tensor format

    Inputs    x  any dims, type and format
    Outputs   y  dims and type of x; its own format
    Numerics  bits are copied; padding lanes are not read, and written as 0
    """

    purpose = "Shape and order"
    x = Input()
    y = Output(like="x")

    role = "reformat"
    scalar = "x"

    def infer(self, x):
        return x.like()

    def reference(self, x):
        return x
