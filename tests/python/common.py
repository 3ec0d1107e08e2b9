"""What the checks by Python share: the README's reader and writer of model files, models that they write, and what these models
compute, in plain NumPy and double precision. BNN names the program; the current folder takes all files."""

import itertools
import json
import os
import pathlib
import re
import subprocess
import sys

import numpy as np

TOP = pathlib.Path(__file__).resolve().parents[2]
BNN = os.environ["BNN"]
README = re.search(r"```python\n(import json\nimport numpy.*?)```", (TOP / "README.md").read_text(), re.S).group(1)
for definition in re.findall(r"^def .*?(?=^\S|\Z)", README, re.S | re.M):
    exec(definition, globals())  # read and write

random = np.random.default_rng(1)
failures = []


def check(name, wrong):
    """Says what cases.sh counts; `wrong` is empty where all is well."""
    print(f"FAILED {name}: {wrong}" if wrong else f"ok {name}", flush=True)
    if wrong:
        failures.append(name)


def finish():
    sys.exit(bool(failures))


def difference(found, expected, tolerance=1e-5):
    """What is wrong unless the arrays are equal to the tolerance, relative to the largest number."""
    if found.shape != expected.shape:
        return f"found shape {found.shape}, expected {expected.shape}"
    error = np.abs(found - expected).max() / max(np.abs(expected).max(), 1)
    return "" if error <= tolerance else f"differs by {error:g}"


def bnn(*arguments):
    """Standard output of the program, which has to end well."""
    done = subprocess.run([BNN, *map(str, arguments)], capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"bnn {' '.join(map(str, arguments))}: exit code {done.returncode}: {done.stderr}")
    return done.stdout


def predict(model, images, *options):
    bnn("predict", model, "--images", images, "--out", "predicted.npy", *options)
    return np.load("predicted.npy")


# What a file has to say of a model, and nothing more: `config`.
MODELS = {
    "fcnn": {"group": "C4", "model": {"type": "fcnn", "input": [1, 8, 8], "classes": 5, "channels": [4, 6]}},
    "fcnn-pools": {"group": "D4", "model": {"input": [2, 8, 8], "classes": 3, "channels": [4, 6, 5], "kernel": 5,
                                            "pool": [True, False, True]}},
    "fcnn-circular": {"group": "T2", "model": {"input": [3, 8, 12], "classes": 4, "channels": [5, 4],
                                               "padding": "circular"}},
    "fcnn-wraps-twice": {"group": "T4", "model": {"input": [1, 4, 4], "classes": 3, "channels": [3, 4, 3], "kernel": 5,
                                                  "padding": "circular", "pool": [True, True, False]}},
    "cnn": {"group": "D2", "model": {"type": "cnn", "input": [2, 7, 10], "classes": 4, "channels": [4, 3]}},
    "mlp": {"group": "D4", "model": {"type": "mlp", "input": [1, 6, 6], "classes": 3, "hidden": [7, 5]}},
    "laplace": {"group": "C2", "model": {"input": [1, 6, 8], "classes": 3, "channels": [4]},
                "posterior": {"family": "laplace"}},
    "lognormal": {"group": "D1", "model": {"type": "cnn", "input": [1, 6, 8], "classes": 3, "channels": [4]},
                  "posterior": {"family": "lognormal"}},
    "padded": {"group": "C4", "data": {"pad": 2, "background": -0.5, "scale": "auto"},
               "model": {"input": [1, 10, 10], "classes": 3, "channels": [4, 4]}},
    "unscaled": {"group": "C1", "data": {"scale": "none"}, "model": {"input": [1, 6, 6], "classes": 3, "channels": [4]}},
}


def layers(config):
    """(name, shape of the weights) of every layer."""
    model = config["model"]
    kind, (channels, height, width), classes = model.get("type", "fcnn"), model["input"], model["classes"]
    if kind == "mlp":
        sizes = [channels * height * width, *model["hidden"], classes]
        return [(f"fc_layers.{i}", (out, ins)) for i, (ins, out) in enumerate(zip(sizes, sizes[1:]))]
    found, side = [], model.get("kernel", 3)
    for i, (out, pool) in enumerate(zip(model["channels"], pools(config))):
        found.append((f"conv_layers.{i}", (out, channels, side, side)))
        channels, height, width = out, height // 2 if pool else height, width // 2 if pool else width
    if kind == "fcnn":
        return found + [("classifier", (classes, channels, 1, 1))]
    return found + [("fc", (classes, channels * height * width))]


def pools(config):
    return config["model"].get("pool") or [True] * len(config["model"]["channels"])


def make_model(name):
    """Writes NAME.bin of random figures; gives back its configuration and images that it takes."""
    config, tensors = MODELS[name], {}
    family, names = config.get("posterior", {}).get("family"), layers(config)
    for layer, shape in names:
        for part, size in (("weight", shape), ("bias", shape[:1])):
            spread = 1 / np.sqrt(np.prod(shape[1:])) if part == "weight" else 0.3
            tensors[f"{layer}.{part}_mu"] = random.normal(0, spread, size)
            tensors[f"{layer}.{part}_rho"] = random.normal(-2, 0.3, size)
            if family == "lognormal":
                tensors[f"{layer}.{part}_sign"] = random.choice([-1.0, 1.0], size)
                if layer != names[-1][0]:
                    tensors[f"{layer}.{part}_mu"] -= 1.5
    tensors = {key: tensor.astype("f4") for key, tensor in tensors.items()}
    write(f"{name}.bin", tensors, {"format": "bnn", "config": json.dumps(config)})
    pad = config.get("data", {}).get("pad", 0)
    channels, height, width = config["model"]["input"]
    return config, random.normal(0, 1, (6, channels, height - 2 * pad, width - 2 * pad)).astype("f4")


def convolve(x, weights, bias, circular):
    side, out = weights.shape[2], bias[:, None, None]
    margin, (height, width) = side // 2, x.shape[2:]
    wide = np.pad(x, ((0, 0), (0, 0), (margin, margin), (margin, margin)))
    for i, j in itertools.product(range(side), repeat=2):
        moved = np.roll(x, (margin - i, margin - j), (2, 3)) if circular else wide[:, :, i:i + height, j:j + width]
        out = out + np.einsum("nchw,oc->nohw", moved, weights[:, :, i, j])
    return out


def max_pool(x):
    n, channels, height, width = x.shape
    x = x[:, :, :height // 2 * 2, :width // 2 * 2]
    return x.reshape(n, channels, height // 2, 2, width // 2, 2).max((3, 5))


def logits(tensors, config, images):
    """Those of the network at w = mu."""
    names = [name for name, _ in layers(config)]
    lognormal = config.get("posterior", {}).get("family") == "lognormal"

    def centre(name):
        mu = tensors[name + "_mu"].astype("f8")
        signed = lognormal and name.rsplit(".", 1)[0] != names[-1]
        return tensors[name + "_sign"] * np.exp(mu) if signed else mu

    x = images.astype("f8")
    if config["model"].get("type") == "mlp":
        x = x.reshape(len(x), -1)
        for name in names[:-1]:
            x = np.maximum(x @ centre(name + ".weight").T + centre(name + ".bias"), 0)
    else:
        circular = config["model"].get("padding") == "circular"
        for name, pool in zip(names[:-1], pools(config)):
            x = np.maximum(convolve(x, centre(name + ".weight"), centre(name + ".bias"), circular), 0)
            x = max_pool(x) if pool else x
    weights, bias = centre(names[-1] + ".weight"), centre(names[-1] + ".bias")
    if weights.ndim == 4:
        return convolve(x, weights, bias, False).mean((2, 3))
    return x.reshape(len(x), -1) @ weights.T + bias


def softmax(x):
    x = np.exp(x - x.max(-1, keepdims=True))
    return x / x.sum(-1, keepdims=True)


def train(name, **settings):
    """A run of a few steps on random images, in the folder NAME."""
    np.save("train.npy", random.normal(0, 1, (24, 1, 8, 8)).astype("f4"))
    np.save("train-labels.npy", np.arange(24, dtype="i4") % 3)
    config = {"data": {"name": "npy", "train_images": "train.npy", "train_labels": "train-labels.npy",
                       "test_images": "train.npy", "test_labels": "train-labels.npy"},
              "group": "C4", "model": {"type": "fcnn", "channels": [4, 4]}, "symmetrization": settings,
              "train": {"epochs": 2, "batch_size": 12, "samples": 1}, "eval": {"samples": 2}}
    pathlib.Path("config.json").write_text(json.dumps(config))
    bnn("train", "config.json", "--out", name)
