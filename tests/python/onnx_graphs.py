"""Exported graphs: valid to the library onnx, and giving what `bnn predict` gives, computed by NumPy from the definitions of the
operators and, where MODULES names a folder with onnxruntime-node, by onnxruntime."""

import onnx
import onnx.checker
import onnx.numpy_helper
import onnx.shape_inference

from common import *

MODULES = sys.argv[1] if len(sys.argv) > 1 else None

OPTIONS = {  # of export, and of predict
    "mean": ([], ["--mean"]),
    "logits": (["--logits"], ["--mean", "--logits"]),
    "uint8": (["--uint8"], ["--mean"]),
    "draws": (["--samples", 3], ["--samples", 3]),
    "logits-of-draws": (["--samples", 3, "--logits"], ["--samples", 3, "--logits"]),
    "group-average": (["--group-average"], ["--mean", "--predictive", "group-averaged"]),
    "draws-group-average": (["--samples", 2, "--group-average"],
                            ["--samples", 2, "--predictive", "group-averaged", "--draws", "shared"]),
    "all": (["--samples", 2, "--group-average", "--uint8"], ["--samples", 2, "--predictive", "group-averaged"]),
}


def conv(x, weights, bias, pads):
    side = weights.shape[2]
    assert pads[0] == pads[1] == pads[2] == pads[3]
    x = np.pad(x, ((0, 0), (0, 0), (pads[0], pads[2]), (pads[1], pads[3])))
    windows = np.lib.stride_tricks.sliding_window_view(x, (side, side), (2, 3))
    return np.einsum("nchwij,ocij->nohw", windows, weights) + bias[:, None, None]


def pad(x, pads, value):
    return np.pad(x, list(zip(pads[:x.ndim], pads[x.ndim:])), constant_values=value)


def reshape(x, shape):
    return x.reshape([x.shape[i] if size == 0 else size for i, size in enumerate(shape)])


OPERATORS = {
    "Add": lambda a, b: a + b,
    "Cast": lambda x, to: x.astype({onnx.TensorProto.FLOAT: "f8"}[to]),
    "Conv": conv,
    "Div": lambda a, b: a / b,
    "Flatten": lambda x: x.reshape(len(x), -1),
    "Gather": lambda x, indices, axis: np.take(x, indices, axis),
    "Gemm": lambda x, weights, bias, transB: x @ (weights.T if transB else weights) + bias,
    "Identity": lambda x: x,
    "Log": np.log,
    "MaxPool": lambda x, kernel_shape, strides: max_pool({(2, 2): x}[tuple(kernel_shape)]),
    "Mean": lambda *values: sum(values) / len(values),
    "Pad": pad,
    "ReduceMean": lambda x, axes, keepdims: x.mean(tuple(axes), keepdims=bool(keepdims)),
    "Relu": lambda x: np.maximum(x, 0),
    "Reshape": reshape,
    "Softmax": lambda x, axis: softmax({1: x}[axis]),
    "Sub": lambda a, b: a - b,
    "Transpose": lambda x, perm: x.transpose(perm),
}


def run(graph, images):
    values = {"images": images}
    for constant in graph.initializer:
        array = onnx.numpy_helper.to_array(constant)
        values[constant.name] = array.astype("f8") if array.dtype == "f4" else array
    for node in graph.node:
        attributes = {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}
        values[node.output[0]] = OPERATORS[node.op_type](*(values[name] for name in node.input), **attributes)
    return values[graph.output[0].name]


def described(value):
    tensor = value.type.tensor_type
    return value.name, tensor.elem_type, [size.dim_param or size.dim_value for size in tensor.shape.dim]


def wrong_in(path, images, config, options):
    """The library's own checks, and what the graph takes and gives."""
    model = onnx.load(path)
    onnx.checker.check_model(model, full_check=True)
    name = "logits" if "--logits" in options else "probabilities"
    kind = onnx.TensorProto.UINT8 if "--uint8" in options else onnx.TensorProto.FLOAT
    expected = [("images", kind, ["N", *images.shape[1:]]),
                (name, onnx.TensorProto.FLOAT, ["N", config["model"]["classes"]])]
    found = [described(value) for value in (*model.graph.input, *model.graph.output)]
    return "" if found == expected else f"found {found}, expected {expected}"


def compare(model, config, images):
    """Every kind of graph of a model."""
    jobs = []
    for kind, (options, of_predict) in OPTIONS.items():
        name, of_images = f"onnx-{model}-{kind}", f"{model}-{kind}-images.npy"
        inputs = np.clip(images * 64 + 128, 0, 255).astype("u1") if "--uint8" in options else images
        np.save(of_images, inputs)
        bnn("export", f"{model}.bin", "--onnx", "--out", f"{name}.onnx", *options)
        expected = predict(f"{model}.bin", of_images, *of_predict)
        wrong = wrong_in(f"{name}.onnx", inputs, config, options)
        check(name, wrong or difference(run(onnx.load(f"{name}.onnx").graph, inputs), expected))
        jobs.append((name, of_images, expected))
    if not MODULES:
        return
    arguments = [part for name, of_images, _ in jobs for part in (f"{name}.onnx", of_images, f"{name}.npy")]
    script = pathlib.Path(__file__).parent / "onnxruntime.js"
    done = subprocess.run(["node", script, MODULES, *arguments], capture_output=True, text=True)
    for name, _, expected in jobs:
        check(f"onnxruntime-{name}", done.stderr.strip() or difference(np.load(f"{name}.npy"), expected))


for name in MODELS:
    compare(name, *make_model(name))

# Regular channels, and weights that share their noise.
config, images = make_model("fcnn")
bnn("expand", "fcnn.bin", "--out", "expanded.bin")
compare("expanded", config, images)
train("tied", mode="tie")
os.replace("tied/model.bin", "tied.bin")
compare("tied", {"model": {"classes": 3}}, random.normal(0, 1, (5, 1, 8, 8)).astype("f4"))

# At the temperature of a calibration.
np.save("calibration.npy", random.normal(0, 1, (30, 1, 8, 8)).astype("f4"))
np.save("calibration-labels.npy", np.arange(30) % 3)
bnn("calibrate", "tied.bin", "--images", "calibration.npy", "--labels", "calibration-labels.npy", "--samples", 3,
    "--out", "calibrated.bin")
compare("calibrated", {"model": {"classes": 3}}, random.normal(0, 1, (5, 1, 8, 8)).astype("f4"))
finish()
