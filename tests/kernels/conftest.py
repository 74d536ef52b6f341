"""Runs rows of the built-in libraries one by one, those for the CPU and, where there is a GPU, those for CUDA.

There is poison where nothing may be read, and guards stand where nothing may be written.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import dovetail.core.errors  # noqa: F401  # registers the exceptions that native code raises
from dovetail import _native
from dovetail.core.negotiation import Place, words_for
from dovetail.core.tensor import TensorDesc, pack, unpack
from dovetail.core.types import DataType, DeviceType, FieldType, from_numpy, storage_nptype

GUARD = 256  # bytes in front of and behind each buffer
POISON = 0xFF  # NaN in every float type, -1 in integers
PADDING_POISON = 0x7F


def wire_fields(fields):
    """(name, wire type, value) triples; the type follows from the value, enumerations are known by name."""
    ints, floats, tensor = FieldType.INT64, FieldType.FLOAT64, FieldType.TENSOR
    wire = {int: ints, float: floats, tuple: ints, np.ndarray: tensor, str: FieldType.CHAR}
    enums = {"mode", "type", "op", "op0", "op1", "padding_mode"}
    return [(k, int(FieldType.INT32 if k in enums else wire[type(v)]), v) for k, v in fields.items()]


class Guarded:
    """A buffer between guards, aligned to 64 bytes, full of poison."""

    def __init__(self, n_bytes):
        self.n_bytes = n_bytes
        self.whole = np.full(n_bytes + 2 * GUARD + 64, 0xA5, np.uint8)
        start = GUARD + (-(self.whole.ctypes.data + GUARD)) % 64
        self.data = self.whole[start : start + n_bytes]
        self.data[:] = POISON
        self.start = start

    def check(self):
        outside = np.concatenate([self.whole[: self.start], self.whole[self.start + self.n_bytes :]])
        assert (outside == 0xA5).all(), "written outside of the buffer"


def padding_of(dims, dtype, format):
    """Which stored elements are padding lanes."""
    return pack(np.ones(dims, storage_nptype(dtype)), format).reshape(-1) == 0


class Rows:
    """The implementation of one op in the library of one device, "cpu" or "cuda"."""

    def __init__(self, op, device):
        path = Path(_native.__file__).parent / "lib" / f"libdovetail_{device}.so"
        library = _native.open_library(str(path))
        self.native = next(i for i in library.implementations if i.id == f"{op}@1#{device}")
        self.device = DeviceType.GPU if device == "cuda" else DeviceType.CPU
        self.features = set(_native.cpu_features())
        self.sm = _native.cuda_devices()[0][0]["sm"] if device == "cuda" else 0
        bits = {bit: name for name, bit in _native.CPU_FEATURES}
        self.needs = [{bits[b] for b in bits if row["needs"] >> b & 1} for row in self.native.rows]

    def candidates(self, in_types, out_types):
        """(index, tactic, places) of all rows for these types that this machine can run."""
        n_in = len(in_types)
        for index, row in enumerate(self.native.rows):
            types = words_for(row["types"], n_in, len(out_types))
            formats = words_for(row["formats"] or "linear", n_in, len(out_types))
            if types is None or formats is None or not self.needs[index] <= self.features or row["min_sm"] > self.sm:
                continue
            words = types[0] + types[1]
            wanted = [None if t is None else DataType(t).short for t in (*in_types, *out_types)]
            n = max(len(w.split("|")) for w in words)
            if any(
                all(t is None or (w.split("|") * n)[i] == t for w, t in zip(words, wanted, strict=True))
                for i in range(n)
            ):
                pairs = zip((*in_types, *out_types), formats[0] + formats[1], strict=True)
                yield index, row["tactic"], [Place.of_word(t, w, self.device) for t, w in pairs]

    def run(self, fields, inputs, dims, dtype, *, scales=None, result_scale=-1.0, constant=(), threads=1, only=None):
        """{tactic and formats: output} of every row that fits. Inputs are arrays, or None where absent."""
        scales = scales or [-1.0] * len(inputs)
        in_types = [None if x is None else from_numpy(x.dtype) for x in inputs]
        obj = self.native.create("layer", wire_fields(fields))
        results = {}
        for index, tactic, places in self.candidates(in_types, [dtype]):
            if only and only not in tactic:
                continue
            formats = [place.format for place in places]
            ranks = [None if x is None else x.ndim for x in inputs] + [len(dims)]
            if any(r is not None and r < f.least_rank for r, f in zip(ranks, formats, strict=True)):
                continue
            copies = any(place.device != self.device for place in places)
            result = self._run_row(
                obj, index, formats, inputs, in_types, dims, dtype, scales, result_scale, constant, threads, copies
            )
            if result is not None:
                results[f"{tactic} {' '.join(f.name for f in formats)}"] = result
        assert results, "no row fits"
        return results

    def _run_row(
        self, obj, index, formats, inputs, in_types, dims, dtype, scales, result_scale, constant, threads, copies
    ):
        ins, buffers = [], []
        for i, x in enumerate(inputs):
            if x is None:
                ins.append(None)
                buffers.append(None)
                continue
            stored = pack(x, formats[i]).reshape(-1)
            guarded = Guarded(stored.nbytes)
            guarded.data[:] = stored.view(np.uint8)
            elements = guarded.data.reshape(stored.size, -1) if stored.size else guarded.data.reshape(0, 1)
            if not copies:  # those between devices take padding along
                elements[padding_of(x.shape, in_types[i], formats[i])] = PADDING_POISON
            data = guarded.data.view(storage_nptype(in_types[i])) if i in constant else None
            ins.append(TensorDesc(x.shape, in_types[i], formats[i], scales[i], data))
            buffers.append(guarded)
        out = TensorDesc(dims, dtype, formats[-1], result_scale)
        target = Guarded(out.allocated_size)
        if self.native.fits(obj, index, ins, [out]) is not None:
            return None
        self.native.configure(obj, ins, [out])
        packed = self.native.prepare(obj, index, ins, [out])
        scratch = self.native.workspace(obj, index, ins, [out], threads)
        before = [b and b.data.copy() for b in buffers]
        pairs = [None if d is None else (d, b.data) for d, b in zip(ins, buffers, strict=True)]
        self.native.run_step(obj, index, pairs, [(out, target.data)], packed or None, scratch, threads)
        target.check()
        for b, old in zip(buffers, before, strict=True):
            if b is not None:
                b.check()
                assert (b.data == old).all(), "an input was written"
        if target.data.size:
            elements = target.data.reshape(padding_of(dims, dtype, formats[-1]).size, -1)
            assert (elements[padding_of(dims, dtype, formats[-1])] == 0).all(), "padding lanes are not zero"
        return unpack(target.data.view(storage_nptype(dtype)), dims, dtype, formats[-1])


@pytest.fixture(scope="session", params=["cpu", pytest.param("cuda", marks=pytest.mark.gpu)])
def device(request):
    """Whose rows are run."""
    return request.param


@pytest.fixture(scope="session")
def rows(device):
    """rows("Scale") is the implementation of Scale for the device."""
    made = {}

    def get(op):
        if op not in made:
            made[op] = Rows(op, device)
        return made[op]

    return get
