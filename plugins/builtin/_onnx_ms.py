"""The operators of com.microsoft: what the rewrites in the modules _onnx_ms_* are entered with."""

from __future__ import annotations

from functools import partial

from dovetail.plugins.onnx import checked_op

COUNTS = ("K", "N", "block_size", "groups", "kv_num_heads", "num_heads")  # attributes that count something

microsoft = partial(checked_op, domain="com.microsoft", counts=COUNTS)
