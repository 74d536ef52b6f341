"""Assertion."""

from __future__ import annotations

from dovetail.core.errors import ShapeError
from dovetail.core.types import DataType
from dovetail.plugins import Input, Plugin, field, require_that


class Assertion(Plugin):
    """Refuse to run unless all elements of a condition are true

    Inputs    condition  bool, of contents that follow from constants, extents and shape inputs
    Outputs   none
    Errors    ShapeError with the message: when the network is built, if an element is known to be false; else when
              shapes are bound. Also if the contents are data
    Source    TensorRT 8.5 IAssertionLayer
    """

    purpose = "Constants, fills and checks"
    condition = Input(DataType.BOOL, shape=True)
    message: str = field("", doc="What the error says.")

    def infer(self, condition):
        elements = condition.elements()
        if elements is None:
            raise ShapeError(
                f"{self.label} cannot tell the contents of its condition before the layers run",
                facts=[("condition", f"{condition.dtype.name} {condition.dims}, tensor '{condition.name}'")],
                hint="It must follow from constants, extents and shape inputs: Shape, and layers that compute on "
                "integers.",
                field="condition",
            )
        for element in elements:
            require_that(element != 0, self.message or f"{self.label} does not hold")
        return []

    @classmethod
    def add(cls, network, condition, message):
        """An Assertion layer."""
        return network.add_plugin("Assertion", [condition], {"message": message})
