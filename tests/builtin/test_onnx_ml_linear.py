"""Linear models and features of ai.onnx.ml against NumPy in float64, and ONNX Runtime where it is installed."""

import numpy as np
import pytest
from one_node import by_onnxruntime, computed, error_of, one_node

import dovetail as trt

RNG = np.random.default_rng(29)
ML = "ai.onnx.ml"


def some(*dims):
    return RNG.uniform(-1, 1, dims).astype(np.float32)


def node(op, inputs, outputs=("y",), version=3, **attrs):
    return one_node(op, inputs, outputs, domain=ML, version=version, **attrs)


def check(op, inputs, wanted, compare=True, tolerance=2e-5, version=3, **attrs):
    wanted = wanted if isinstance(wanted, dict) else {"y": wanted}
    inputs = inputs if isinstance(inputs, dict) else {"x": inputs}
    model = node(op, inputs, list(wanted), version, **attrs)
    got = computed(model, inputs)
    for name, array in wanted.items():
        assert got[name].shape == array.shape
        np.testing.assert_allclose(got[name].astype(np.float64), array, rtol=tolerance, atol=tolerance)
    if compare:
        for name, array in by_onnxruntime(model, inputs).items():
            assert got[name].dtype == array.dtype
            np.testing.assert_allclose(got[name], array, rtol=1e-4, atol=1e-4)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def softmax(x):
    e = np.exp(x - x.max(1, keepdims=True))
    return e / e.sum(1, keepdims=True)


TRANSFORMS = {"NONE": lambda x: x, "LOGISTIC": sigmoid, "SOFTMAX": softmax, "SOFTMAX_ZERO": softmax}


def numbers(array):
    return [float(value) for value in np.asarray(array).reshape(-1)]


# ---- linear models


@pytest.mark.parametrize("how", TRANSFORMS)
@pytest.mark.parametrize("dtype", [np.float32, np.int64, np.int32])
def test_classes(how, dtype):
    x, w, b, labels = (some(20, 4) * 5).astype(dtype), some(3, 4), some(3), np.int64([9, 2, 5])
    scores = np.float64(x) @ w.T + b
    attrs = {"coefficients": numbers(w), "intercepts": numbers(b), "classlabels_ints": labels.tolist()}
    wanted = {"label": labels[scores.argmax(1)], "y": TRANSFORMS[how](scores)}
    check("LinearClassifier", x, wanted, post_transform=how, multi_class=1, **attrs)


@pytest.mark.parametrize("how", TRANSFORMS)
def test_two_classes_of_one_score(how):
    x, w, b, labels = some(20, 4), some(1, 4), some(1), np.int64([9, 2])
    s = np.float64(x) @ w.T + b
    scores = np.concatenate([sigmoid(-s), sigmoid(s)] if how == "LOGISTIC" else [1 - s, s], 1)
    attrs = {"coefficients": numbers(w), "intercepts": numbers(b), "classlabels_ints": labels.tolist()}
    check("LinearClassifier", x, {"label": labels[(s[:, 0] > 0).astype(int)], "y": scores}, post_transform=how, **attrs)


@pytest.mark.parametrize("how", TRANSFORMS)
@pytest.mark.parametrize("targets", [1, 3])
@pytest.mark.parametrize("intercepts", [True, False])
def test_regression(how, targets, intercepts):
    x, w, b = some(20, 4), some(targets, 4), some(targets)
    y = np.float64(x) @ w.T + (b if intercepts else 0)
    attrs = {"intercepts": numbers(b)} if intercepts else {}
    wanted = TRANSFORMS[how](y) if targets > 1 else y
    check("LinearRegressor", x, wanted, coefficients=numbers(w), targets=targets, post_transform=how, **attrs)


def test_one_row_without_a_batch():
    x, w = some(4), some(2, 4)
    check("LinearRegressor", x, (np.float64(w) @ x)[None], compare=False, coefficients=numbers(w), targets=2)


@pytest.mark.parametrize(
    ("op", "attrs", "words"),
    [
        ("LinearRegressor", {"coefficients": [1.0, 2.0]}, ["features 4", "wanted 2"]),
        ("LinearRegressor", {"coefficients": [1.0] * 4, "targets": 3}, ["coefficients 4", "scores 3"]),
        ("LinearRegressor", {"coefficients": [1.0] * 4, "intercepts": [1.0, 2.0]}, ["intercepts 2", "scores 1"]),
        ("LinearRegressor", {"coefficients": [1.0] * 4, "post_transform": "CUBE"}, ["post_transform CUBE"]),
        (
            "LinearClassifier",
            {"coefficients": [1.0] * 8, "classlabels_strings": ["a", "b"]},
            ["labels are strings", "a, b"],
        ),
        ("LinearClassifier", {"coefficients": [1.0] * 8}, ["classlabels_strings and classlabels_ints"]),
        (
            "LinearClassifier",
            {"coefficients": [1.0] * 4, "intercepts": [0.0], "classlabels_ints": [1, 2], "post_transform": "PROBIT"},
            ["PROBIT"],
        ),
    ],
)
def test_models_that_cannot_be_honoured(op, attrs, words):
    outputs = ("label", "y") if op == "LinearClassifier" else ("y",)
    text = error_of(node(op, {"x": some(3, 4)}, outputs, **attrs))
    assert not [word for word in (f"({op} 'here')", *words) if word not in text], text


# ---- features


@pytest.mark.parametrize("n", [1, 4])
@pytest.mark.parametrize("dtype", [np.float32, np.int64])
def test_scaler(n, dtype):
    x, scale, offset = (some(5, 4) * 9).astype(dtype), some(n), some(n)
    wanted = (np.float64(x) - offset) * scale
    check("Scaler", x, wanted, scale=numbers(scale), offset=numbers(offset))


@pytest.mark.parametrize("norm", ["MAX", "L1", "L2"])
def test_norms(norm):
    x = np.concatenate([some(5, 4), np.zeros((1, 4), np.float32), -np.abs(some(2, 4))])
    wide = np.float64(x)
    size = {"MAX": wide.max(1), "L1": np.abs(wide).sum(1), "L2": np.sqrt((wide * wide).sum(1))}[norm][:, None]
    check("Normalizer", x, wide / np.where(size == 0, 1, size), norm=norm)


def test_missing_numbers():
    x = np.float32([[1, np.nan, 0], [np.nan, 0, 2]])
    attrs = {"imputed_value_floats": [7.0, 8.0, 9.0], "replaced_value_float": float("nan")}
    check("Imputer", x, np.float64([[1, 8, 0], [7, 0, 2]]), **attrs)
    check("Imputer", x[:, 2:], np.float64([[5], [2]]), imputed_value_floats=[5.0], replaced_value_float=0.0)
    x = np.int64([[1, 5], [5, 0]])
    check("Imputer", x, np.float64([[1, 9], [8, 0]]), imputed_value_int64s=[8, 9], replaced_value_int64=5)


def test_features_side_by_side():
    inputs = {"a": some(3, 2), "c": some(3, 3)}
    wanted = np.concatenate([np.float64(array) for array in inputs.values()], 1)
    check("FeatureVectorizer", inputs, wanted, inputdimensions=[2, 3])
    wide = np.concatenate([wanted[:, :2], np.zeros((3, 1)), wanted[:, 2:4]], 1)
    check("FeatureVectorizer", inputs, wide, inputdimensions=[3, 2])
    inputs = {name: (array * 9).astype(np.int64) for name, array in inputs.items()}
    check("FeatureVectorizer", inputs, np.concatenate(list(inputs.values()), 1), inputdimensions=[2, 3])


@pytest.mark.parametrize("x", [np.int64([[1], [3], [7]]), np.float32([1.7, 5, 2]), np.int32([2, 1])])
def test_categories_as_columns(x):
    wanted = np.float64(x.astype(np.int64)[..., None] == [1, 2, 3])
    check("OneHotEncoder", x, wanted, cats_int64s=[1, 2, 3], zeros=1, compare=x.dtype != np.int32)


@pytest.mark.parametrize("keys", [[1, 3, 2, 3], [-5, 10**12, 7, 7]])
def test_integers_as_codes(keys):
    x = np.int64([keys[:3], [-(2**62), 2**62, keys[3]]])
    floats, integers = [0.5, 0.25, 1.5, 9.0], [7, 8, 9, 10]
    first = dict(reversed(list(zip(keys, floats, strict=True))))
    wanted = np.vectorize(lambda key: first.get(key, -2.0))(x)
    check("LabelEncoder", x, wanted, keys_int64s=keys, values_floats=floats, default_float=-2.0)
    first = dict(reversed(list(zip(keys, integers, strict=True))))
    wanted = np.vectorize(lambda key: first.get(key, -1))(x)
    check("LabelEncoder", x, wanted, keys_int64s=keys, values_int64s=integers)


@pytest.mark.parametrize(("version", "wanted"), [(3, [5, -1, -1]), (4, [5, 7, -1])])
def test_floats_as_codes(version, wanted):
    x = np.float32([1.5, np.nan, 3])
    attrs = {"keys_floats": [1.5, float("nan")], "values_int64s": [5, 7]}
    check("LabelEncoder", x, np.float64(wanted), version=version, **attrs)


def test_codes_in_tensors():
    from onnx import numpy_helper

    x = np.int64([[1, 2], [9, 1]])
    tensors = {
        "keys_tensor": np.int64([1, 2]),
        "values_tensor": np.float32([0.5, 1.5]),
        "default_tensor": np.float32([9]),
    }
    attrs = {name: numpy_helper.from_array(array) for name, array in tensors.items()}
    check("LabelEncoder", x, np.float64([[0.5, 1.5], [9, 0.5]]), version=4, **attrs)


def test_maps_of_scores_stay_tensors_with_a_warning():
    said = []

    class Logger(trt.ILogger):
        def log(self, severity, text):
            said.append((severity, text))

    x = some(3, 2)
    model = node("ZipMap", {"x": x}, classlabels_int64s=[5, 7])
    np.testing.assert_array_equal(computed(model, {"x": x})["y"], x)
    network = trt.Builder(Logger()).create_network()
    assert trt.OnnxParser(network, Logger()).parse(model.SerializeToString())
    warnings = [text for severity, text in said if severity == trt.Logger.WARNING]
    assert any("ZipMap 'here'" in text and "networks have no maps" in text and "5, 7" in text for text in warnings), (
        said
    )


@pytest.mark.parametrize(
    ("op", "x", "attrs", "words"),
    [
        ("Scaler", some(2, 3), {"scale": [1.0, 2.0]}, ["scale", "size 2"]),
        ("Normalizer", some(2, 3), {"norm": "L3"}, ["norm L3"]),
        ("Imputer", some(2, 3), {"imputed_value_floats": [1.0, 2.0]}, ["imputed_value_floats 2"]),
        ("OneHotEncoder", np.int64([1]), {"cats_strings": ["a"]}, ["categories are strings"]),
        ("LabelEncoder", np.int64([1]), {"keys_int64s": [1], "values_strings": ["a"]}, ["values_strings has strings"]),
        ("LabelEncoder", np.int64([1]), {"keys_int64s": [1], "values_int64s": [1, 2]}, ["keys 1", "values 2"]),
        ("FeatureVectorizer", some(2, 3), {"inputdimensions": [3, 3]}, ["inputdimensions 2", "inputs 1"]),
    ],
)
def test_features_that_cannot_be_honoured(op, x, attrs, words):
    text = error_of(node(op, {"x": x}, version=2 if op == "LabelEncoder" else 1, **attrs))
    assert not [word for word in (f"({op} 'here')", *words) if word not in text], text
