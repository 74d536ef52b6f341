"""A report that is not JSON is refused as one, not as whatever Python's decoder says."""

import pytest

from dovetail.core.errors import PlanCorrupt
from dovetail.machine.report import with_report


@pytest.mark.parametrize(
    "report", [b"{", b"\xff", b"[" * 100_000, b'{"a": \x01}'], ids=("cut", "bytes", "deep", "control")
)
def test_a_damaged_report_is_named(report):
    with pytest.raises(PlanCorrupt, match="the build report of this plan is damaged"):
        with_report({}, report)
