"""Operators of ai.onnx.ml on features: scaling, norms, missing values, categories."""

from __future__ import annotations

from typing import Any

import numpy

from dovetail.core.types import FLOATS
from dovetail.plugins.builtin._onnx_ml import floats, learned
from dovetail.plugins.onnx import ELEMENT_TYPES, in_float32, rank_of

DENSE = 4096  # keys within a range of this size are looked up in a table


def scaler(node: Any) -> Any:
    """(x - offset) * scale, each of one number or one for each feature."""
    x = in_float32(node, node[0])
    scale, offset = floats(node, "scale"), floats(node, "offset")
    for name, values in (("scale", scale), ("offset", offset)):
        if values.size > 1 and x.shape[-1] not in (-1, values.size):
            raise node.fail(f"its {name} has not one number for each feature", size=values.size, x=x.symbolic.dims)
    y = node.onnx("Sub", [x, offset]) if offset.size else x
    return node.onnx("Mul", [y, scale]) if scale.size else y


def normalizer(node: Any) -> Any:
    """x / norm of its row; a norm of 0 leaves it. MAX is the largest element, as onnxruntime has it."""
    x, norm = in_float32(node, node[0]), node.attr("norm", "MAX")
    if norm not in ("MAX", "L1", "L2") or rank_of(x) not in (1, 2):
        raise node.fail("its norm or rank is not known", norm=norm, x=x.symbolic.dims, known="MAX, L1, L2; 1 or 2 dims")
    op = {"MAX": "ReduceMax", "L1": "ReduceL1", "L2": "ReduceL2"}[norm]
    size = node.onnx(op, [x], opset=13, axes=[rank_of(x) - 1])
    is_zero = node.onnx("Equal", [size, numpy.float32(0)])
    return node.onnx("Div", [x, node.onnx("Where", [is_zero, numpy.float32(1), size])])


def imputer(node: Any) -> Any:
    """Elements equal to one value, which may be nan, are replaced: by one number, or one for each feature."""
    x, is_float = node[0], node[0].dtype in FLOATS
    kind = "float" if is_float else "int64"
    values = node.attr(f"imputed_value_{kind}s", ())
    if not values or (len(values) > 1 and x.shape[-1] not in (-1, len(values))):
        facts = {f"imputed_value_{kind}s": len(values), "x": x.symbolic.dims}
        raise node.fail("it has not one value for each feature", **facts)
    gone = node.attr(f"replaced_value_{kind}", 0)
    wide = x if is_float else node.onnx("Cast", [x], to=ELEMENT_TYPES["INT64"])
    if is_float and gone != gone:
        is_gone = node.onnx("IsNaN", [wide])
    else:
        is_gone = node.onnx("Equal", [wide, numpy.asarray(gone, numpy.float32 if is_float else numpy.int64)])
    new = numpy.asarray(values, numpy.float32 if is_float else numpy.int64)
    return node.onnx("CastLike", [node.onnx("Where", [is_gone, new, wide]), x])


def feature_vectorizer(node: Any) -> Any:
    """Inputs [rows, ...] as rows of float32, side by side; each is cut or filled with zeros to inputdimensions."""
    wanted = node.attr("inputdimensions", ())
    if wanted and len(wanted) != len(node):
        raise node.fail("inputdimensions are not one for each input", inputdimensions=len(wanted), inputs=len(node))
    parts = []
    for index in range(len(node)):
        x = in_float32(node, node[index])
        x = node.onnx("Unsqueeze", [x, numpy.array([1])]) if rank_of(x) == 1 else node.onnx("Flatten", [x], axis=1)
        width = x.shape[1]
        if wanted and width != wanted[index]:
            if width < 0:
                raise node.fail("the width of an input has to be known", input=index, x=x.symbolic.dims)
            pads = numpy.array([0, 0, 0, wanted[index] - width])
            x = node.onnx("Pad", [x, pads], opset=13)
        parts.append(x)
    return node.onnx("Concat", parts, axis=1)


# ---- categories


def one_hot_encoder(node: Any) -> Any:
    """[..., categories]: 1 at the category that x is. zeros=0 promises that it is one of them; else it is all zeros."""
    categories = node.attr("cats_int64s", ())
    if node.attr("cats_strings") or not categories:
        raise node.fail("its categories are strings, or none; tensors of strings are not known here")
    x = node.onnx("Cast", [node[0]], to=ELEMENT_TYPES["INT64"])
    tall = node.onnx("Unsqueeze", [x, numpy.array([rank_of(x)])])
    return in_float32(node, node.onnx("Equal", [tall, numpy.asarray(categories, numpy.int64)]))


def label_encoder(node: Any) -> Any:
    """The value of the key that x is, the first of equal keys; the default where it is none."""
    used = [name for name in node.attributes() if "string" in name and not name.startswith("default")]
    if used:
        raise node.fail(f"its attribute {used[0]} has strings, and tensors of strings are not known here")
    keys, values = (_listed(node, name) for name in ("keys", "values"))
    if keys.size != values.size or not keys.size:
        raise node.fail("its keys and values are not as many", keys=keys.size, values=values.size)
    default = node.attr("default_tensor")
    if default is None:
        default = node.attr("default_float", -0.0) if values.dtype.kind == "f" else node.attr("default_int64", -1)
    default = numpy.asarray(default).reshape(()).astype(values.dtype)
    if keys.dtype.kind == "f":
        return _compared(node, in_float32(node, node[0]), keys.astype(numpy.float32), values, default)
    x, keys = node.onnx("Cast", [node[0]], to=ELEMENT_TYPES["INT64"]), keys.astype(numpy.int64)
    low, high = int(keys.min()), int(keys.max())
    span = high - low + 1
    if span > max(DENSE, 8 * keys.size):
        return _compared(node, x, keys, values, default)
    table = numpy.full(span + 1, default)
    table[(keys - low)[::-1]] = values[::-1]
    limits = (("GreaterOrEqual", low), ("LessOrEqual", high))
    is_within = node.onnx("And", [node.onnx(op, [x, numpy.int64(limit)]) for op, limit in limits])
    place = node.onnx("Where", [is_within, node.onnx("Sub", [x, numpy.int64(low)]), numpy.int64(span)])
    return node.onnx("Gather", [table, place])


def _listed(node: Any, name: str) -> numpy.ndarray:
    for kind, dtype in (("int64s", numpy.int64), ("floats", numpy.float32)):
        if node.attr(f"{name}_{kind}"):
            return numpy.asarray(node.attr(f"{name}_{kind}"), dtype)
    found = node.attr(f"{name}_tensor")
    return numpy.zeros(0, numpy.int64) if found is None else numpy.asarray(found).reshape(-1)


def _compared(node: Any, x: Any, keys: numpy.ndarray, values: numpy.ndarray, default: numpy.ndarray) -> Any:
    """By comparing x with all keys; from opset 4 on nan is a key like others."""
    tall = node.onnx("Unsqueeze", [x, numpy.array([rank_of(x)])])
    is_key = node.onnx("Equal", [tall, keys])
    if keys.dtype.kind == "f" and numpy.isnan(keys).any() and node.opset >= 4:
        is_key = node.onnx("Or", [is_key, node.onnx("And", [node.onnx("IsNaN", [tall]), numpy.isnan(keys)])])
    marks = in_float32(node, is_key)
    place = node.onnx("ArgMax", [marks], axis=rank_of(x), keepdims=0)
    is_any = node.onnx("Greater", [node.onnx("ReduceMax", [marks], opset=13, axes=[-1], keepdims=0), numpy.float32(0)])
    return node.onnx("Where", [is_any, node.onnx("Gather", [values, place]), default])


def zip_map(node: Any) -> Any:
    """The scores unchanged: networks have no maps. Columns are in the order of the labels."""
    labels = node.attr("classlabels_int64s", ()) or node.attr("classlabels_strings", ())
    shown = ", ".join(map(str, labels[:4])) + (", ..." if len(labels) > 4 else "")
    node.warn(f"networks have no maps: its output is the tensor of scores, whose columns are those of {shown}")
    return node.onnx("Identity", [node[0]])


FILLED = "imputed_value_floats imputed_value_int64s replaced_value_float replaced_value_int64"
CODES = " ".join(f"{name}_{kind}" for name in ("keys", "values") for kind in ("floats", "int64s", "strings", "tensor"))

rewrites = (
    learned("Scaler", scaler, (1, 1), "offset scale"),
    learned("Normalizer", normalizer, (1, 1), "norm"),
    learned("Imputer", imputer, (1, 1), FILLED),
    learned("FeatureVectorizer", feature_vectorizer, (1, None), "inputdimensions"),
    learned("OneHotEncoder", one_hot_encoder, (1, 1), "cats_int64s cats_strings zeros"),
    learned(
        "LabelEncoder",
        label_encoder,
        (1, 1),
        f"classes_strings default_float default_int64 default_string default_tensor {CODES}",
    ),
    learned("ZipMap", zip_map, (1, 1), "classlabels_int64s classlabels_strings"),
)
