"""`EngineInspector`: the layers of an engine, as text or as JSON."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING

from dovetail.core.arguments import whole
from dovetail.core.errors import BindingError
from dovetail.machine.enums import LayerInformationFormat
from dovetail.machine.logger import Reporting
from dovetail.machine.report import PlanFacts, facts_text

if TYPE_CHECKING:
    from dovetail.machine.context import IExecutionContext
    from dovetail.machine.engine import ICudaEngine


class EngineInspector(Reporting):
    """Describes the layers of an engine."""

    execution_context: IExecutionContext | None

    def __init__(self, engine: ICudaEngine, facts: Callable[[], PlanFacts]) -> None:
        """Inspectors are made by `engine.create_engine_inspector()`."""
        self._engine, self._facts, self.logger = engine, facts, engine.logger
        self.execution_context = None

    def get_layer_information(self, layer_index: int, format: LayerInformationFormat) -> str:
        """One layer as a line, or as JSON with its implementation, formats, time, and what lost.

        Layers in blocks follow the one that owns these; lines are indented by two blanks a block, JSON has "depth".

        Raises:
            BindingError: there is no such layer, or the plan has no build report.
        """
        steps = self._facts().steps
        if not 0 <= whole("the index of a layer", layer_index) < len(steps):
            facts = [("layers", f"0..{len(steps) - 1}" if steps else "none: the plan has no build report")]
            raise BindingError(f"the inspector has no layer {layer_index}", facts=facts, got=layer_index)
        step = steps[layer_index]
        if format == LayerInformationFormat.JSON:
            return json.dumps(step.facts, indent=1)
        return f"{step.indented} [{step.op}] {step.runs_on}: {' '.join(step.inputs)} -> {' '.join(step.outputs)}"

    def get_engine_information(self, format: LayerInformationFormat) -> str:
        """All layers: the report, or JSON with a list of layers and the bindings."""
        facts = self._facts()
        if format == LayerInformationFormat.JSON:
            layers = [step.facts for step in facts.steps]
            return json.dumps({"Layers": layers, "Bindings": list(self._engine)}, indent=1)
        return facts_text(facts)
