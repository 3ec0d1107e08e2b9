"""Malformed inputs, one a row: a command that is given one ends with exit code 2 and one line on standard error that names the file,
the place, what was found and what was expected; it changes no file, and takes no memory on a header's word. BNN names the
program; the current folder takes all files."""

import gzip
import hashlib
import io
import json
import os
import pathlib
import shutil
import struct
import subprocess
import sys
import warnings
import zipfile
import zlib

import numpy as np

BNN = os.environ["BNN"]
MEMORY = 320 << 10  # KiB beyond those of --version: of 10 MB of zeros, gzip-compressed, 16 times as much, in a buffer that grows
random = np.random.default_rng(1)
rows, failed = [], 0
os.environ.update(OPENBLAS_NUM_THREADS="1", OMP_WAIT_POLICY="passive")  # else a command starts itself again
os.environ.setdefault("ASAN_OPTIONS", "quarantine_size_mb=1")  # what is freed does not count as memory

# ---- good inputs ------------------------------------------------------------------------------------------------

CONFIG = {"seed": 3, "group": "C4", "data": {"name": "npy", "train_images": "x.npy", "train_labels": "y.npy"},
          "model": {"channels": [3]}, "train": {"epochs": 2, "batch_size": 8}, "eval": {"samples": 2}}
MODEL = {"group": "C4", "model": {"type": "fcnn", "input": [1, 8, 8], "classes": 3, "channels": [2]}}


def shapes(channels=2):
    """Of MODEL's tensors, by their names, with so many channels."""
    return {f"{layer}.{part}_{what}": shape if part == "weight" else shape[:1]
            for layer, shape in (("conv_layers.0", (channels, 1, 3, 3)), ("classifier", (3, channels, 1, 1)))
            for part in ("weight", "bias") for what in ("mu", "rho")}


def joined(header, data=b""):
    """A safetensors file of this header, a dictionary or bytes."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data


def model(config=MODEL, change=None, metadata=None, tensors=None, whole=False):
    """The file of a model; `change` takes its header, and what it returns stands in its place. `tensors`: other figures
    than the usual; `whole`: the tensors are those of the configuration's channels, and not MODEL's."""
    header, data = {"__metadata__": {"format": "bnn", "config": json.dumps(config), **(metadata or {})}}, b""
    for name, shape in shapes(config.get("model", {}).get("channels", [2])[0] if whole else 2).items():
        values = np.asarray((tensors or {}).get(name, np.full(shape, -2.0 if name.endswith("rho") else 0.1)))
        kind, values = ("F64", values) if (tensors or {}).get("double") else ("F32", values.astype("<f4"))
        header[name] = {"dtype": kind, "shape": shape, "data_offsets": [len(data), len(data) + values.nbytes]}
        data += values.tobytes()
    return joined((change(header) or header) if change else header, data)


def tensor(**fields):
    """A change of the header: fields of the first tensor, None for one that is left out."""
    def change(header):
        entry = header["conv_layers.0.weight_mu"]
        entry.update(fields)
        for name in [name for name, value in entry.items() if value is None]:
            del entry[name]
    return change


def with_text(old, new):
    return lambda header: json.dumps(header).encode().replace(old, new, 1)


def figures(name, value):
    return {name: np.full(shapes()[name], value)}


def npy(values=None, header=None, version=1, minor=0, data=b""):
    """The array, or data behind this header."""
    if header is None:
        stream = io.BytesIO()
        np.save(stream, values)
        return stream.getvalue()
    return b"\x93NUMPY" + bytes((version, minor)) + struct.pack("<H" if version == 1 else "<I", len(header)) + header + data


def described(descr="'<f4'", order="False", shape="(4, 3)"):
    return f"{{'descr': {descr}, 'fortran_order': {order}, 'shape': {shape}, }}\n".encode()


def idx(shape, data=b"", kind=8, rank=None):
    return bytes((0, 0, kind, len(shape) if rank is None else rank)) + struct.pack(f">{len(shape)}I", *shape) + data


def npz(members, method=zipfile.ZIP_DEFLATED):
    stream = io.BytesIO()
    with warnings.catch_warnings(), zipfile.ZipFile(stream, "w", method) as archive:
        warnings.simplefilter("ignore")
        for name, data in members:
            archive.writestr(name, data)
    return stream.getvalue()


def chunk(kind, data, broken=0):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data) ^ broken)


def png(width=8, height=8, depth=8, colour=0, interlace=0, broken=0, pixels=None, cut=None, end=True):
    pixels = bytes(height * (1 + width)) if pixels is None else pixels
    whole = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, interlace), broken)
    whole += chunk(b"IDAT", zlib.compress(pixels)) + (chunk(b"IEND", b"") if end else b"")
    return whole[:cut]


ZEROS = gzip.compress(bytes(1 << 24), 9, mtime=0)  # of which a gzip file may hold any number, one after the other
BOMB = ZEROS * 64  # 1 GiB


def prepare():
    """The files that rows change copies of, and that no row may change."""
    x, y = random.normal(0, 1, (24, 8, 8)).astype("f4"), np.arange(24, dtype="u1") % 3
    np.save("x.npy", x)
    np.save("y.npy", y)
    np.save("probs.npy", np.full((24, 3), 1 / 3, "f4"))
    put("m.bin", model())
    put("config.json", json.dumps(CONFIG).encode())
    put("own.bin", model(dict(MODEL, data={"name": "npy", "train_images": os.path.abspath("x.npy"), "train_labels": "y.npy",
                                           "test_images": os.path.abspath("x.npy"), "test_labels": os.path.abspath("y.npy")})))
    os.symlink("x.npy", "link.npy")
    wide = dict(MODEL["model"], input=[1, 32, 32], channels=[300], padding="circular")
    put("wide.bin", model(dict(MODEL, group="T16", model=wide), whole=True))
    subprocess.run([BNN, "train", "config.json", "--out", "run", "--quiet"], check=True)


def put(path, data):
    pathlib.Path(path).parent.mkdir(parents=True, exist_ok=True)
    pathlib.Path(path).write_bytes(data)


# ---- rows -----------------------------------------------------------------------------------------------------------

def row(name, files, command, *texts):
    """`files`: the bytes of the file `bad`, or a dictionary of files, or what makes them; @ in the command is `bad`, and words are
    split at blanks unless it is a list."""
    rows.append((name, files, command, texts))


def rows_of(kind, command, table):
    for name, files, *texts in table:
        row(f"{kind}: {name}", files, command, *texts)


rows_of("safetensors", "info @", [
    ("empty", b"", "bad: is no safetensors file: found 0 bytes, expected at least 8"),
    ("7 bytes", b"1234567", "bad: is no safetensors file: found 7 bytes, expected at least 8"),
    ("header of 2^64 - 1 bytes", b"\xff" * 8 + b"{}",
     "bad: is no safetensors file, or truncated: found a header of 18446744073709551615 bytes in a file of 10, expected at most 16777216"),
    ("header of 2^63 bytes", struct.pack("<Q", 1 << 63) + b"{}",
     "bad: is no safetensors file, or truncated: found a header of 9223372036854775808 bytes in a file of 10, expected at most 16777216"),
    ("header longer than the file", struct.pack("<Q", 100) + b"{}",
     "bad: is no safetensors file, or truncated: found a header of 100 bytes in a file of 10, expected at most 16777216"),
    ("header of 17 MB", joined(b"{}" + b" " * (17 << 20)),
     "bad: is no safetensors file, or truncated: found a header of 17825794 bytes in a file of 17825802, expected at most 16777216"),
    ("header of no byte", joined(b""), "bad: is no safetensors file: its header is no JSON object (byte 8)"),
    ("header is a list", joined(b"[1]"), "bad: is no safetensors file: its header is no JSON object (byte 8)"),
    ("text behind the header's object", joined(b"{}x"), "bad: is no safetensors file: its header is no JSON object (byte 10)"),
    ("header ends early", joined(b'{"a": {"dtype": "F32", '),
     "bad: is no safetensors file: its header is no JSON object (byte 31)"),
    ("zero byte in the header", joined(b'{"a\0": 1}'), "bad: is no safetensors file: its header is no JSON object (byte 8)"),
    ("\\u0000 in a name", joined(b'{"conv_layers.0\\u0000x": 1}'),
     "bad: the header, at byte 23, holds the character \\u0000, expected none"),
    ("\\u0000 in the configuration", model(metadata={"config": json.dumps(dict(MODEL, group="C4\0"))}),
     "bad: config: line 1, column 14: holds the character \\u0000, expected none"),
    ("nested too deep", joined(b'{"a":' + b"[" * 100000),
     "bad: the header, at byte 512, is nested deeper than the 500 levels expected at most"),
    ("too many values", joined(b'{"a":[' + b"0," * 1000001),
     "bad: the header, at byte 2000007, holds more values than the 1000000 expected at most"),
    ("too many values in metadata", model(metadata={"classes": "[" + "0," * 1000001}),
     "bad: the header, at byte 2000128, holds more values than the 1000000 expected at most"),
    ("a name twice", joined(b'{"a": 1, "b": 2, "a": 3}'), 'bad: the header names "a" twice'),
    ("a metadata key twice", joined(b'{"__metadata__": {"a": "1", "a": "2"}}'), 'bad: __metadata__ names "a" twice'),
    ("metadata is a list", joined({"__metadata__": []}), "bad: __metadata__ is no object, expected one of strings"),
    ("metadata is a number", joined({"__metadata__": {"format": 1}}), 'bad: __metadata__: "format" is no string'),
    ("no format", joined({"__metadata__": {"config": "{}"}}),
     'bad: __metadata__ has no "format": "bnn" and "config", expected a model written by bnn'),
    ("another format", model(metadata={"format": "pt"}),
     'bad: __metadata__ has no "format": "bnn" and "config", expected a model written by bnn'),
    ("no configuration", joined({"__metadata__": {"format": "bnn"}}),
     'bad: __metadata__ has no "format": "bnn" and "config", expected a model written by bnn'),
    ("name of 128 bytes", joined({"a" * 128: {}}), 'bad: tensor "', "expected a name of at most 127 bytes"),
    ("dtype I32", model(change=tensor(dtype="I32")),
     'bad: tensor "conv_layers.0.weight_mu": found dtype I32, expected F32 or F64'),
    ("dtype BF16", model(change=tensor(dtype="BF16")),
     'bad: tensor "conv_layers.0.weight_mu": found dtype BF16, expected F32 or F64'),
    ("dtype is a number", model(change=tensor(dtype=1)),
     'bad: tensor "conv_layers.0.weight_mu": expected a string as its dtype'),
    ("no dtype", model(change=tensor(dtype=None)),
     'bad: tensor "conv_layers.0.weight_mu": expected dtype, shape and data_offsets, each once'),
    ("no shape", model(change=tensor(shape=None)),
     'bad: tensor "conv_layers.0.weight_mu": expected dtype, shape and data_offsets, each once'),
    ("a fourth member", model(change=tensor(more=1)),
     'bad: tensor "conv_layers.0.weight_mu": expected dtype, shape and data_offsets, each once'),
    ("tensor is a number", joined({"a": 1}), 'bad: tensor "a": expected dtype, shape and data_offsets, each once'),
    ("shape is a number", model(change=tensor(shape=18)),
     'bad: tensor "conv_layers.0.weight_mu": expected a list as its shape'),
    ("negative size", model(change=tensor(shape=[-2, -1, 3, 3])),
     'bad: tensor "conv_layers.0.weight_mu": expected sizes in its shape'),
    ("size of 1.5", model(change=tensor(shape=[1.5, 12])),
     'bad: tensor "conv_layers.0.weight_mu": expected sizes in its shape'),
    ("size of 2^53", model(change=tensor(shape=[2**53])), 'bad: tensor "conv_layers.0.weight_mu": expected sizes in its shape'),
    ("size of 1e999", model(change=with_text(b"[2, 1, 3, 3]", b"[1e999]")),
     'bad: tensor "conv_layers.0.weight_mu": expected sizes in its shape'),
    ("shape overflows", model(change=tensor(shape=[2**32, 2**32])),
     'bad: tensor "conv_layers.0.weight_mu": the product of its shape overflows'),
    ("bytes overflow", model(change=tensor(shape=[2**31, 2**31])),
     'bad: tensor "conv_layers.0.weight_mu": found 72 bytes of data, expected 4611686018427387904 items of 4'),
    ("9 dimensions", model(change=tensor(shape=[1] * 9)),
     'bad: tensor "conv_layers.0.weight_mu": expected at most 8 dimensions'),
    ("one offset", model(change=tensor(data_offsets=[0])),
     'bad: tensor "conv_layers.0.weight_mu": expected two offsets in its data_offsets'),
    ("offsets reversed", model(change=tensor(data_offsets=[72, 0])),
     'bad: tensor "conv_layers.0.weight_mu": found data_offsets 72 and 0 in 232 bytes of data'),
    ("offsets behind the end", model(change=tensor(data_offsets=[0, 1 << 40])),
     'bad: tensor "conv_layers.0.weight_mu": found data_offsets 0 and 1099511627776 in 232 bytes of data'),
    ("negative offset", model(change=tensor(data_offsets=[-72, 0])),
     'bad: tensor "conv_layers.0.weight_mu": expected two offsets in its data_offsets'),
    ("tensors overlap", model(change=with_text(b"[72, 144]", b"[36, 108]")),
     'bad: tensor "conv_layers.0.weight_rho" begins at byte 36 of the data, expected 72 (tensors overlap)'),
    ("a hole", joined({"a": {"dtype": "F32", "shape": [1], "data_offsets": [4, 8]}}, bytes(8)),
     'bad: tensor "a" begins at byte 4 of the data, expected 0 (a hole)'),
    ("bytes behind the data", model() + b"123", "bad: found 235 bytes of data, expected 232 as its tensors add up to"),
    ("data cut short", model()[:-1], 'bad: tensor "classifier.bias_rho": found data_offsets 220 and 232 in 231 bytes of data'),
    ("bytes unlike the shape", model(change=tensor(shape=[2, 1, 3, 4])),
     'bad: tensor "conv_layers.0.weight_mu": found 72 bytes of data, expected 24 items of 4'),
])
rows_of("model", "info @", [
    ("a tensor is missing", model(change=lambda h: {**{k: v for k, v in h.items() if k != "classifier.bias_rho"},
                                                     "x": h["classifier.bias_rho"]}),
     "bad: tensor classifier.bias_rho is missing, expected one of shape (3)"),
    ("a tensor too many", model(change=lambda h: {**h, "x": {"dtype": "F32", "shape": [0], "data_offsets": [0, 0]}}),
     "bad: found 9 tensors, expected the 8 that its configuration describes"),
    ("another shape", model(change=tensor(shape=[2, 3, 1, 3])),
     "bad: tensor conv_layers.0.weight_mu: found shape (2,3,1,3), expected (2,1,3,3)"),
    ("NaN", model(tensors=figures("classifier.weight_mu", np.nan)),
     "bad: tensor classifier.weight_mu: entry 0 is NaN, expected a finite number"),
    ("infinity", model(tensors=figures("classifier.weight_mu", np.inf)),
     "bad: tensor classifier.weight_mu: entry 0 is infinity, expected a finite number"),
    ("rho of 1e38", model(tensors=figures("classifier.bias_rho", 1e38)),
     "bad: tensor classifier.bias_rho: entry 0 is 1e+38, expected a number from -1e18 to 1e18"),
    ("rho of -1e38", model(tensors=figures("classifier.bias_rho", -1e38)),
     "bad: tensor classifier.bias_rho: entry 0 is -1e+38, expected a number from -1e18 to 1e18"),
    ("a network of 1.5 GB", model(dict(MODEL, model={"type": "mlp", "input": [1, 14, 14], "classes": 3, "hidden": [1048576]})),
     "bad: tensor fc_layers.0.weight_mu is missing, expected one of shape (1048576,196)"),
    ("a network beyond memory", model(dict(MODEL, model=dict(MODEL["model"], channels=[65536] * 3, kernel=31))),
     "bad: tensor conv_layers.0.weight_mu: found shape (2,1,3,3), expected (65536,1,31,31)"),
    ("configuration is no JSON", model(metadata={"config": "{"}), "bad: config: line 1, column 2: not valid JSON"),
    ("configuration with a key unknown", model(dict(MODEL, colour=1)),
     "bad: config: colour: unknown key; the nearest valid key is group"),
    ("no classes", model(dict(MODEL, model={"input": [1, 8, 8], "channels": [2]})),
     "bad: config: model.input and model.classes are missing"),
    ("no input", model(dict(MODEL, model={"classes": 3, "channels": [2]})),
     "bad: config: model.input and model.classes are missing"),
    ("65537 channels", model(dict(MODEL, model=dict(MODEL["model"], channels=[65537]))),
     "bad: config: model.channels: found [65537], expected a list of at most 16 integers from 1 to 65536"),
    ("even kernel", model(dict(MODEL, model=dict(MODEL["model"], kernel=2))),
     "bad: config: model.kernel: found 2, expected an odd number"),
    ("group unknown", model(dict(MODEL, group="Q8")), 'bad: config: group: found "Q8", expected C<n> or D<n>'),
    ("group of 10^9", model(dict(MODEL, group="C1000000000")), 'bad: config: group: found "C1000000000", expected C<n> or D<n>'),
    ("mode unknown", model(dict(MODEL, symmetrization={"mode": "x"})),
     'bad: config: symmetrization.mode: found "x", which this bnn does not know'),
    ("prior scales of no layer", model(metadata={"prior_std": "[]"}),
     'bad: __metadata__: prior_std: expected {"weight": S, "bias": S} for each layer, found none for conv_layers.0'),
    ("prior scale of -1", model(metadata={"prior_std": '[{"weight": -1, "bias": 1}, {"weight": 1, "bias": 1}]'}),
     'bad: __metadata__: prior_std: expected {"weight": S, "bias": S} for each layer, found none for conv_layers.0'),
    ("pixels without a range", model(metadata={"pixels": "{}"}),
     'bad: __metadata__: pixels: found {}, expected {"least": ..., "most": ...}'),
    ("too few classes named", model(metadata={"classes": '["a", "b"]'}),
     "bad: __metadata__: classes: found no name of class 2, expected a list of 3 strings of at most 63 bytes"),
    ("class name of 1000 bytes", model(metadata={"classes": json.dumps(["a" * 1000] * 3)}),
     "bad: __metadata__: classes: found no name of class 0, expected a list of 3 strings of at most 63 bytes"),
    ("is a .npy file", npy(np.zeros(3)), "bad: is a NumPy array (.npy), expected a model (safetensors)"),
    ("is an IDX file", idx([3], b"123"), "bad: is an IDX file, expected a model (safetensors)"),
    ("is a PNG file", png(), "bad: is a PNG image, expected a model (safetensors)"),
    ("is an archive", npz([("a.npy", npy(np.zeros(3)))]), "bad: is a zip archive (.npz), expected a model (safetensors)"),
    ("is a configuration", json.dumps(CONFIG).encode(), "bad: is a JSON text, expected a model (safetensors)"),
    ("gzip cut short", gzip.compress(model())[:-9], "bad: the compressed data is truncated: it ends after "),
    ("gzip with another checksum", gzip.compress(model())[:-8] + bytes(4) + gzip.compress(model())[-4:],
     "bad: the compressed data is corrupt near byte ", "(incorrect data check)"),
    ("gzip with text behind it", gzip.compress(model()) + b"more", "bad: found 4 bytes after the end of the compressed data"),
    ("gzip bomb", ZEROS * 640, "bad: the decompressed file is larger than the 167198720 bytes expected at most"),
    ("is missing", {}, "bad: cannot open: No such file or directory"),
    ("is a folder without model.bin", {"bad/x": b""},
     "bad: is a directory without a model.bin, expected a file or the directory of a run"),
])
SETS = {"temperature": 1.5, "images": 9, "method": "lac", "coverage": 0.9, "threshold": 0.5, "samples": 2, "group": ""}
rows_of("calibration", "predict @ --sets --images x.npy --out o.npy", [
    ("no JSON", model(metadata={"calibration": "{"}),
     'bad: __metadata__: calibration: found {, expected a valid "temperature"'),
    *((f"{name} is {value}", model(metadata={"calibration": json.dumps(dict(SETS, **{name: value}))}),
       "bad: __metadata__: calibration: found", f'expected a valid "{name}"')
      for name, value in (("temperature", -1), ("temperature", "1"), ("images", 1.5), ("images", 1e300), ("method", "x"),
                          ("coverage", 2), ("threshold", 7), ("samples", -3))),
    ("there is none", model(), "bnn predict: --sets: bad is not calibrated, expected a model written by bnn calibrate"),
])


def checkpoint(change):
    """A copy of the run whose checkpoint is another: `change` takes its header and its data, and returns the file."""
    def make():
        shutil.copytree("run", "bad")
        whole = pathlib.Path("bad/checkpoint.bin").read_bytes()
        start = 8 + int.from_bytes(whole[:8], "little")
        put("bad/checkpoint.bin", change(json.loads(whole[8:start]), whole[start:]))
    return make


def told(**fields):
    """A change of the progress that a checkpoint tells, some of which are left out."""
    def change(header, data):
        progress = {**json.loads(header["__metadata__"]["progress"]), **fields}
        header["__metadata__"]["progress"] = json.dumps({k: v for k, v in progress.items() if v != "left out"})
        return joined(header, data)
    return checkpoint(change)


def metadata_of(key, value):
    def change(header, data):
        header["__metadata__"][key] = value
        return joined(header, data)
    return checkpoint(change)


def without_metrics():
    shutil.copytree("run", "bad")
    put("bad/metrics.jsonl", b"")


rows_of("checkpoint", "train --resume @ --quiet", [
    ("empty", checkpoint(lambda header, data: b""),
     "bad/checkpoint.bin: is no safetensors file: found 0 bytes, expected at least 8"),
    ("cut short", checkpoint(lambda header, data: joined(header, data[:-5])),
     'bad/checkpoint.bin: tensor "optimizer.rho.1": found data_offsets', "bytes of data"),
    ("no progress", checkpoint(lambda header, data: pathlib.Path("run/model.bin").read_bytes()),
     'bad/checkpoint.bin: __metadata__ has no "progress" and "run", expected a checkpoint of bnn train'),
    ("progress is no JSON", metadata_of("progress", "{"),
     "bad/checkpoint.bin: __metadata__: progress: epoch: found none that makes sense"),
    ("no epoch", told(epoch="left out"), "bad/checkpoint.bin: __metadata__: progress: epoch: found none that makes sense"),
    ("epoch of -1", told(epoch=-1), "bad/checkpoint.bin: __metadata__: progress: epoch: found none that makes sense"),
    ("epoch of 1.5", told(epoch=1.5), "bad/checkpoint.bin: __metadata__: progress: epoch: found none that makes sense"),
    ("epoch of 1e300", told(epoch=1e300), "bad/checkpoint.bin: __metadata__: progress: epoch: found none that makes sense"),
    ("epoch behind the last", told(epoch=7), "bad/checkpoint.bin: found epoch 7, batch 0, expected 2 epochs of 12 batches"),
    ("batch behind the last", told(epoch=1, batch=1000),
     "bad/checkpoint.bin: found epoch 1, batch 1000, expected 2 epochs of 12 batches"),
    ("a flag is a number", told(map=1), "bad/checkpoint.bin: __metadata__: progress: map: found none that makes sense"),
    ("optimiser's state is missing", checkpoint(lambda header, data: joined(
        {k.replace("optimizer.rho.1", "optimizer.x"): v for k, v in header.items()}, data)),
     "bad/checkpoint.bin: tensor optimizer.rho.1: found 0 numbers, expected 42"),
    ("optimiser's state is NaN", checkpoint(lambda header, data: joined(header, data[:-4] + b"\xff" * 4)),
     "bad/checkpoint.bin: optimizer.rho.1 is NaN at entry 41"),
    ("configuration of the run is no JSON", metadata_of("run", "{"), "bad/checkpoint.bin: line 1, column 2: not valid JSON"),
    ("metrics.jsonl is shorter", without_metrics, "bad/metrics.jsonl: found 0 lines, expected at least 2"),
])

rows_of("IDX", "score --probs probs.npy --labels @", [
    ("magic", b"\1" + idx([24, 1], bytes(24))[1:], "bad: is of no known format by its first bytes, expected one of IDX, .npy"),
    ("type 7", idx([24, 1], bytes(72), kind=7),
     "bad: found IDX type 0x07, expected 0x08 (uint8), another integer or 0x0d (float)"),
    ("no dimension", idx([], b"", rank=0), "bad: found 0 IDX dimensions, expected 1 to 8"),
    ("9 dimensions", idx([1] * 9, b"1"), "bad: found 9 IDX dimensions, expected 1 to 8"),
    ("header cut short", idx([24, 1])[:10], "bad: ends within its IDX header: found 10 bytes, expected 12"),
    ("2^32 - 1 items", idx([2**32 - 1], b"123"), "bad: found 3 bytes of data, expected (4294967295,) items of 1 bytes"),
    ("shape overflows", idx([2**32 - 1] * 3, b"123", kind=14),
     "bad: found 3 bytes of data, expected (4294967295, 4294967295, 4294967295) items of 8 bytes"),
    ("cut short", idx([24, 1], bytes(23)), "bad: found 23 bytes of data, expected (24, 1) items of 1 bytes"),
    ("bytes behind it", idx([24, 1], bytes(25)), "bad: found 25 bytes of data, expected (24, 1) items of 1 bytes"),
    ("gzip that tells of more than it can hold", gzip.compress(idx([2**31, 1], bytes(1 << 17))),
     "bad: its header tells of 2147483660 bytes, more than its "),
    ("gzip bomb behind the data", gzip.compress(idx([24, 1], bytes(1 << 17))) + BOMB,
     "bad: holds more than the 36 bytes that its header tells"),
    ("gzip bomb of no type", BOMB, "bad: the decompressed file is larger than the 67108864 bytes expected at most"),
    ("gzip of nothing", gzip.compress(b""), "bad: is of no known format by its first bytes, expected one of IDX, .npy"),
    ("no number of images", b"\0\0\x08",
     "bad: is no IDX file: expected it to begin with two zero bytes, a type and a number of dimensions"),
])
rows_of(".npy", "score --probs @ --labels y.npy", [
    ("empty", b"", "bad: is no .npy file: expected \\x93NUMPY at its beginning"),
    ("text", b"0.1, 0.2, 0.7\n", "bad: is no .npy file: expected \\x93NUMPY at its beginning"),
    ("magic cut short", b"\x93NUM", "bad: is no .npy file: expected \\x93NUMPY at its beginning"),
    ("version 4.0", npy(header=described(), version=4), "bad: found .npy version 4.0, expected 1.0, 2.0 or 3.0"),
    ("version 1.7", npy(header=described(), minor=7), "bad: found .npy version 1.7, expected 1.0, 2.0 or 3.0"),
    ("header longer than the file", npy(header=described())[:30], "bad: ends within its .npy header, after 30 bytes"),
    ("header of 4 GB", b"\x93NUMPY\x02\x00" + b"\xff" * 4 + described(), "bad: ends within its .npy header, after 72 bytes"),
    ("header is no dictionary", npy(header=b"[1]\n"), "bad: .npy header: at character 0, expected {"),
    ("header without an end", npy(header=described()[:-3]), "bad: .npy header: at character 57, expected a string in quotes"),
    ("key twice", npy(header=b"{'shape': (3,), 'shape': (3,), 'descr': '<f4', 'fortran_order': False}"),
     "bad: .npy header: at character 23, expected each of descr, fortran_order and shape once"),
    ("key missing", npy(header=b"{'shape': (3,), 'descr': '<f4'}"),
     "bad: .npy header: at character 31, expected each of descr, fortran_order and shape once"),
    ("key unknown", npy(header=b"{'shape': (3,), 'colour': 1}"),
     "bad: .npy header: at character 24, expected each of descr, fortran_order and shape once"),
    ("complex", npy(header=described("'<c8'"), data=bytes(96)),
     "bad: .npy header: found items of type '<c8', expected float, integer or bool"),
    ("text items", npy(header=described("'<U4'"), data=bytes(192)),
     "bad: .npy header: found items of type '<U4', expected float, integer or bool"),
    ("objects", npy(header=described("'|O'"), data=bytes(96)),
     "bad: .npy header: found items of type '|O', expected float, integer or bool"),
    ("structured", npy(header=described("[('a', '<f4')]"), data=bytes(48)),
     "bad: .npy header: at character 10, expected a simple number type, found a structured one"),
    ("order is a number", npy(header=described(order="0")), "bad: .npy header: at character 34, expected False or True"),
    ("shape is a number", npy(header=described(shape="12")),
     "bad: .npy header: at character 50, expected the shape, a tuple in parentheses"),
    ("negative size", npy(header=described(shape="(-4, 3)")), "bad: .npy header: at character 51, expected a size"),
    ("size of 10^30", npy(header=described(shape="(1" + "0" * 30 + ",)")),
     "bad: .npy header: at character 71, expected a size that a machine can hold"),
    ("shape overflows", npy(header=described(shape=f"({2**40}, {2**40})")),
     "bad: found 0 bytes of data, expected (1099511627776, 1099511627776) items of 4 bytes"),
    ("9 dimensions", npy(header=described(shape="(1, 1, 1, 1, 1, 1, 1, 1, 1)")),
     "bad: .npy header: at character 75, expected at most 8 dimensions"),
    ("cut short", npy(np.full((24, 3), 1 / 3))[:-1], "bad: found 575 bytes of data, expected (24, 3) items of 8 bytes"),
    ("bytes behind it", npy(np.full((24, 3), 1 / 3)) + b"1", "bad: found 577 bytes of data, expected (24, 3) items of 8 bytes"),
    ("no rows", npy(np.zeros((0, 3))),
     "bad: found an array of shape (0, 3), expected (N,C), (G,N,C) or (T,G,N,C), none of them 0"),
    ("other rows than labels", npy(np.full((23, 3), 1 / 3)), "y.npy: found 24 labels, expected 23, one for each image"),
    ("one dimension", npy(np.full(24, 1 / 3)),
     "bad: found an array of shape (24,), expected (N,C), (G,N,C) or (T,G,N,C), none of them 0"),
    ("NaN", npy(np.full((24, 3), np.nan)),
     "bad: probabilities: draw 0, group element 0, image 0: class 0 has NaN, expected a finite number of at least 0"),
    ("negative", npy(np.tile([-0.1, 0.5, 0.6], (24, 1))),
     "bad: probabilities: draw 0, group element 0, image 0: class 0 has -0.1, expected a finite number of at least 0"),
    ("sums of 2", npy(np.full((24, 3), 2 / 3)),
     "bad: draw 0, group element 0, image 0: found probabilities that sum to 2, expected 1 within 0.001"),
    ("gzip bomb behind the data", gzip.compress(npy(np.zeros((1 << 14, 3)))) + BOMB,
     "bad: the decompressed file holds more than the 393344 bytes that its header tells"),
])
rows_of("labels", "score --probs probs.npy --labels @", [
    ("-1", npy(np.full(24, -1)), "bad: label 0 is -1, expected an integer in 0..2, the classes there are"),
    ("0.5", npy(np.full(24, 0.5)), "bad: label 0 is 0.5, expected an integer in 0..2, the classes there are"),
    ("NaN", npy(np.full(24, np.nan)), "bad: label 0 is nan, expected an integer in 0..2, the classes there are"),
    ("3 of 0..2", npy(np.full(24, 3)), "bad: label 0 is 3, expected an integer in 0..2, the classes there are"),
    ("one too many", npy(np.zeros(25, "u1")), "bad: found 25 labels, expected 24, one for each image"),
    ("two dimensions", npy(np.zeros((24, 2), "u1")), "bad: found an array of shape (24, 2), expected labels (N) or (N,1)"),
])
rows_of("images", "predict m.bin --images @ --out o.npy", [
    ("two dimensions", npy(np.zeros((3, 64), "f4")),
     "bad: found an array of shape (3, 64), expected images (N,H,W), (N,C,H,W) or (N,H,W,C)"),
    ("another size", npy(np.zeros((3, 9, 9), "f4")),
     "bad: images: found 1 x 9 x 9 (C x H x W), expected the model's 1 x 8 x 8"),
    ("other channels", npy(np.zeros((3, 3, 8, 8), "f4")),
     "bad: images: found 3 x 8 x 8 (C x H x W), expected the model's 1 x 8 x 8"),
    ("none", npy(np.zeros((0, 8, 8), "f4")),
     "bad: found an array of shape (0, 8, 8), expected at least one image of one pixel"),
    ("no pixel", npy(np.zeros((3, 0, 8), "f4")),
     "bad: found an array of shape (3, 0, 8), expected at least one image of one pixel"),
    ("infinite pixel", npy(np.full((3, 8, 8), np.inf, "f4")),
     "bad: image 0, channel 0, row 0, column 0 is inf, expected a finite "),
])


def patched(data, at, old, new, last=True):
    """The archive with `new` at `at` bytes behind the last (the first) signature `old`."""
    place = (data.rindex(old) if last else data.index(old)) + at
    return data[:place] + new + data[place + len(new):]


IMAGES = [("train_images.npy", npy(np.zeros((4, 8, 8), "u1"))), ("train_labels.npy", npy(np.zeros(4, "u1"))),
          ("test_images.npy", npy(np.zeros((4, 8, 8), "u1"))), ("test_labels.npy", npy(np.zeros(4, "u1")))]
WHOLE, STORED = npz(IMAGES), npz(IMAGES, zipfile.ZIP_STORED)
DIRECTORY = b"PK\x01\x02"  # of a member in the archive's directory; the first is that of train_images
rows_of(".npz", "predict m.bin --data @ --out o.npy", [
    ("signature alone", b"PK\x03\x04", "--data: bad: cannot be read as an .npz archive: Not a zip archive"),
    ("cut short", WHOLE[:-30], "--data: bad: cannot be read as an .npz archive: Not a zip archive"),
    ("no member", npz([]), "--data: bad: names no test images, expected a file"),
    ("no test images", npz(IMAGES[:2]), "--data: bad: names no test images, expected a file"),
    ("no test labels", npz(IMAGES[:3]),
     "--data: bad: found no array test_labels, expected it among those there are: train_images, train_labels, test_images"),
    ("a name nearly right", npz(IMAGES + [("tests_images.npy", IMAGES[0][1])]),
     '--data: bad: found the array tests_images, expected one of "train_images", "train_labels"'),
    ("a member twice", npz(IMAGES[:3] + [IMAGES[2], IMAGES[3]]),
     "--data: bad: holds two members test_images.npy, expected one"),
    ("member is text", npz(IMAGES[:2] + [("test_images.npy", b"1, 2"), IMAGES[3]]),
     "--data: bad: test_images: is no .npy file: expected \\x93NUMPY at its beginning"),
    ("member cut short", npz(IMAGES[:2] + [("test_images.npy", IMAGES[2][1][:-9]), IMAGES[3]]),
     "--data: bad: test_images: found 247 bytes of data, expected (4, 8, 8) items of 1 bytes"),
    ("member larger than its header tells", npz(IMAGES[:2] + [("test_images.npy", npy(np.zeros((4, 8, 8), "u1")) + bytes(1 << 26)),
                                                              IMAGES[3]]),
     "--data: bad: test_images: found 67109120 bytes of data, expected (4, 8, 8) items of 1 bytes"),
    ("bomb of no array", npz(IMAGES[:2] + [("test_images.npy", bytes(1 << 28)), IMAGES[3]]),
     "--data: bad: test_images: is no .npy file: expected \\x93NUMPY at its beginning"),
    ("encrypted", patched(patched(WHOLE, 8, DIRECTORY, b"\x01"), 8, DIRECTORY, b"\x01"),
     "--data: bad: test_labels: is encrypted, or packed by another method than deflate, expected what numpy.savez or savez_compressed writes"),
    ("bzip2", npz(IMAGES, zipfile.ZIP_BZIP2),
     "--data: bad: test_images: is encrypted, or packed by another method than deflate, expected what numpy.savez or savez_compressed writes"),
    ("4 GB in a few bytes", patched(npz([IMAGES[2]]), 24, DIRECTORY, struct.pack("<I", 0xfffffff0)),
     "--data: bad: test_images: found 4294967280 bytes packed into"),
    ("more than is stored", patched(npz([IMAGES[2]], zipfile.ZIP_STORED), 24, DIRECTORY, struct.pack("<I", 5000)),
     "--data: bad: test_images: found 5000 bytes packed into"),
    ("another checksum", patched(npz([IMAGES[2], IMAGES[3]], zipfile.ZIP_STORED), 200, b"PK\x03\x04", b"\x07", last=False),
     "--data: bad: test_images: is damaged: CRC error"),
    ("labels for other images", npz(IMAGES[:3] + [("test_labels.npy", npy(np.zeros(5, "u1")))]),
     "--data: bad: test_labels: found 5 labels, expected 4, one for each image"),
])

PNG_CONFIG = json.dumps(dict(CONFIG, data={"name": "png", "path": "bad"})).encode()


def folder(**files):
    return {"bad.json": PNG_CONFIG, "bad/train/a/1.png": png(), "bad/train/b/1.png": png(),
            **{"bad/" + name: data for name, data in files.items()}}


def first(data):
    return folder(**{"train/a/1.png": data})


rows_of("PNG", "train bad.json --out new --quiet", [
    ("empty", first(b""), "bad/train/a/1.png: is no PNG file by its first bytes"),
    ("text", first(b"P2 8 8 255"), "bad/train/a/1.png: is no PNG file by its first bytes"),
    ("signature alone", first(png(cut=8)), "bad/train/a/1.png: is a damaged PNG file, at byte 8 of", "it is cut short"),
    ("header cut short", first(png(cut=20)), "bad/train/a/1.png: is a damaged PNG file, at byte 16 of", "it is cut short"),
    ("header's checksum", first(png(broken=1)), "bad/train/a/1.png: is a damaged PNG file, at byte 33 of", "IHDR: CRC error"),
    ("no pixel", first(png(width=0)), "bad/train/a/1.png: is a damaged PNG file, at byte 33 of", "Invalid IHDR data"),
    ("65537 pixels wide", first(png(width=65537, height=1)),
     "bad/train/a/1.png: is a damaged PNG file, at byte 33 of", "Invalid IHDR data"),
    ("3.6 G pixels in 100 bytes", first(png(width=60000, height=60000, pixels=b"")),
     "bad/train/a/1.png: found 60000 x 60000 pixels (H x W) in its header, more than its "),
    ("depth of 3 bits", first(png(depth=3)), "bad/train/a/1.png: is a damaged PNG file, at byte 33 of", "Invalid IHDR data"),
    ("no palette", first(png(colour=3)),
     "bad/train/a/1.png: is a damaged PNG file, at byte ", "IDAT: Missing PLTE before IDAT"),
    ("transparent", first(png(colour=4, pixels=bytes(8 * 17))),
     "bad/train/a/1.png: row 0, column 0 is transparent (alpha 0), expected an opaque image"),
    ("too few rows", first(png(pixels=bytes(9 * 5))),
     "bad/train/a/1.png: is a damaged PNG file, at byte ", "Not enough image data"),
    ("data cut short", first(png(cut=-20)), "bad/train/a/1.png: is a damaged PNG file, at byte 41 of", "it is cut short"),
    ("interlaced, cut short", first(png(interlace=1, pixels=bytes(20))),
     "bad/train/a/1.png: is a damaged PNG file, at byte ", "Not enough image data"),
    ("no end", first(png(end=False)), "bad/train/a/1.png: is a damaged PNG file, at byte ", "it is cut short"),
    ("sizes differ", folder(**{"train/b/1.png": png(width=9)}),
     "bad/train/b/1.png: found 1 x 8 x 9 (C x H x W) of 8 bits, expected 1 x 8 x 8 of 8 as bad/train/a/1.png; data.resize brings all to one size"),
    ("depths differ", folder(**{"train/b/1.png": png(depth=16, pixels=bytes(8 * 17))}),
     "bad/train/b/1.png: found 1 x 8 x 8 (C x H x W) of 16 bits, expected 1 x 8 x 8 of 8 as bad/train/a/1.png"),
    ("a class of the test alone", folder(**{"val/c/1.png": png()}),
     "bad/val/c/1.png: found the class \"c\", expected one of the training images': one of \"a\", \"b\" (did you mean \"a\"?)"),
    ("a file among the classes", folder(**{"train/readme.txt": b""}),
     "bad/train/readme.txt: is no folder, expected a folder for each class in bad/train"),
])
rows_of("list of PNG files", "train bad.json --out new --quiet", [
    ("empty", folder(**{"train.csv": b""}), "bad/train.csv: found no image, expected lines file,label"),
    ("one column", folder(**{"train.csv": b"train/a/1.png\n"}),
     'bad/train.csv: line 1: found "train/a/1.png", expected file,label or file,label,part, alike in all lines and without quotes'),
    ("columns differ", folder(**{"train.csv": b"train/a/1.png,a\ntrain/b/1.png,b,c\n"}),
     'bad/train.csv: line 2: found "train/b/1.png,b,c", expected file,label or file,label,part, alike in all lines and without quotes'),
    ("quotes", folder(**{"train.csv": b'"train/a/1.png",a\n'}),
     'bad/train.csv: line 1: found ""train/a/1.png",a", expected file,label or file,label,part, alike in all lines and without quotes'),
    ("file is missing", folder(**{"train.csv": b"train/a/2.png,a\n"}),
     "bad/train/a/2.png: cannot open: No such file or directory"),
    ("no label", folder(**{"train.csv": b"train/a/1.png,\n"}),
     'bad/train.csv: line 1: the label "": expected 1 to 63 bytes of UTF-8 text'),
    ("label is no UTF-8", folder(**{"train.csv": b"train/a/1.png,\xff\n"}),
     'bad/train.csv: line 1: the label "�": expected 1 to 63 bytes of UTF-8 text'),
    ("label of 1000 bytes", folder(**{"train.csv": b"train/a/1.png," + b"a" * 1000}),
     'bad/train.csv: line 1: the label "', "expected 1 to 63 bytes of UTF-8 text"),
    ("path of 5000 bytes", folder(**{"train.csv": b"a/" * 2500 + b"1.png,a"}), "bad/train.csv: line 1: the path is too long"),
    ("gzip bomb", folder(**{"train.csv": BOMB}),
     "bad/train.csv: the decompressed file is larger than the 67108864 bytes expected at most"),
])


def cifar(name="cifar10", **files):
    good = {f"data_batch_{i}.bin": bytes(3073) for i in range(1, 6)}
    return {"bad.json": json.dumps(dict(CONFIG, data={"name": name, "dir": "bad"})).encode(),
            **{"bad/" + file: data for file, data in {**good, **files}.items() if data is not None}}


rows_of("CIFAR", "train bad.json --out new --quiet", [
    ("one byte too few", cifar(**{"data_batch_3.bin": bytes(3072)}),
     "bad/data_batch_3.bin: found 3072 bytes, expected records of 3073"),
    ("one byte too many", cifar(**{"data_batch_3.bin": bytes(3074)}),
     "bad/data_batch_3.bin: found 3074 bytes, expected records of 3073"),
    ("empty", cifar(**{"data_batch_3.bin": b""}), "bad/data_batch_3.bin: found 0 bytes, expected records of 3073"),
    ("label of 10", cifar(**{"data_batch_5.bin": b"\x0a" + bytes(3072)}),
     "bad/data_batch_5.bin: label 0 is 10, expected an integer in 0..9, the classes there are"),
    ("fine label of 100", cifar("cifar100", **{"train.bin": b"\x00\x64" + bytes(3072)}),
     "bad/train.bin: label 0 is 100, expected an integer in 0..99, the classes there are"),
    ("missing", cifar(**{"data_batch_4.bin": None}),
     "cifar10: found no folder with data_batch_1.bin, data_batch_2.bin, data_batch_3.bin, data_batch_4.bin, data_batch_5.bin"),
    ("gzip bomb", cifar(**{"data_batch_1.bin": BOMB}),
     "bad/data_batch_1.bin: the decompressed file is larger than the 67108864 bytes expected at most"),
])


def config(**changes):
    return json.dumps({**CONFIG, **changes}).encode()


rows_of("configuration", "train @ --out new --quiet", [
    ("empty", b"", "bad: line 1, column 1: not valid JSON"),
    ("byte order mark alone", b"\xef\xbb\xbf", "bad: line 1, column 1: not valid JSON"),
    ("a folder", {"bad/x": b""}, "bad: is a directory, expected a configuration, or a run with --resume"),
    ("zero byte", config() + b"\0", "bad: contains a zero byte, expected JSON text"),
    ("binary", bytes(range(1, 256)), "bad: line 2, column 118: not valid UTF-8"),
    ("no UTF-8", config().replace(b"C4", b"C4\xc3"), "bad: line 1, column 25: not valid UTF-8"),
    ("UTF-8 longer than need be", config().replace(b"C4", b"\xc0\xaf"), "bad: line 1, column 23: not valid UTF-8"),
    ("half of a surrogate", config().replace(b"C4", b"\\ud800"), "bad: line 1, column 23: not valid JSON"),
    ("\\u0000", config().replace(b"C4", b"C4\\u0000x"), "bad: line 1, column 25: holds the character \\u0000, expected none"),
    ("text behind it", config() + b" {}", "bad: line 1, column 196: not valid JSON"),
    ("ends early", config()[:-2], "bad: line 1, column 193: not valid JSON"),
    ("a comment", b"// c\n" + config(), "bad: line 1, column 1: not valid JSON"),
    ("a list", b"[]", "bad: expected a JSON object {...}"),
    ("nested too deep", b'{"data": ' + b"[" * 200000,
     "bad: line 1, column 509: is nested deeper than the 500 levels expected at most"),
    ("too many values", b'{"model": {"channels": [' + b"1," * 1000001,
     "bad: line 1, column 2000014: holds more values than the 1000000 expected at most"),
    ("17 MB", config() + b" " * (17 << 20), "bad: the file is larger than the 16777216 bytes expected at most"),
    ("gzip bomb", BOMB, "bad: the decompressed file is larger than the 16777216 bytes expected at most"),
    ("a key twice", b'{"seed": 1, "seed": 2}', "bad: seed: the key stands there twice"),
    ("a key twice in an object", b'{"train": {"epochs": 1, "epochs": 2}}', "bad: train.epochs: the key stands there twice"),
    ("a key unknown", config(colour=1), "bad: colour: unknown key; the nearest valid key is group"),
    ("an object is a number", config(train=3), "bad: train: expected an object {...}"),
    ("a number is an object", config(seed={}),
     "bad: seed: found {}, expected an integer from 0 to 9007199254740991 (JSON's numbers are not exact beyond 2^53)"),
    ("a number is a string", config(seed="1"),
     "bad: seed: found \"1\", expected an integer from 0 to 9007199254740991 (JSON's numbers are not exact beyond 2^53)"),
    ("seed of 2^53 + 1", config(seed=2**53 + 1),
     "bad: seed: found 9007199254740992, expected an integer from 0 to 9007199254740991 (JSON's numbers are not exact beyond 2^53)"),
    ("seed of -1", config(seed=-1),
     "bad: seed: found -1, expected an integer from 0 to 9007199254740991 (JSON's numbers are not exact beyond 2^53)"),
    ("seed of 1.5", config(seed=1.5),
     "bad: seed: found 1.5, expected an integer from 0 to 9007199254740991 (JSON's numbers are not exact beyond 2^53)"),
    ("1e999", config().replace(b'"epochs": 2', b'"epochs": 1e999'),
     "bad: train.epochs: found inf, expected an integer from 1 to 9007199254740991 (JSON's numbers are not exact beyond 2^53)"),
    ("NaN", config(train={"clip_norm": float("nan")}), "bad: line 1, column 154: not valid JSON"),
    ("17 layers", config(model={"channels": [1] * 17}),
     "bad: model.channels: found [1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1], expected a list of at most 16 integers from 1 to 65536"),
    ("65537 channels", config(model={"channels": [65537]}),
     "bad: model.channels: found [65537], expected a list of at most 16 integers from 1 to 65536"),
    ("orbit expansion beyond the widest layer", config(group="T16", model={"channels": [300]},
                                                       symmetrization={"mode": "orbit-expansion", "stage1_epochs": 1}),
     "bad: orbit expansion: layer 0 of width 300 is too wide for T16, whose 256 elements leave it at most 256"),
    ("name of a data set of 1000 bytes", config(data={"name": "a" * 1000}),
     'bad: data.name: found "', "expected a string of at most 31 bytes"),
    ("data set unknown", config(data={"name": "fashion"}),
     'bad: data.name: found "fashion", expected one of "fashion-mn', '(did you mean "fashion-mnist"?)'),
    ("file of a data set is missing", config(data=dict(CONFIG["data"], train_images="z.npy")),
     "bad: z.npy: cannot open: No such file or directory"),
])
PREDICT = ["predict", "m.bin", "--images", "x.npy", "--out", "o.npy"]
for option, value, text in [
        *(("--samples", value, f"bnn predict: --samples: found {value}, expected an integer from 1 to 1048576")
          for value in ("0x10", " 5", "5 ", "5x", "0", "-1", "1.5", "nan", "inf", "1e999", "99999999999999999999")),
        ("--samples", "", 'bnn predict: --samples: expected a value, found ""'),
        ("--threads", "0", "bnn predict: --threads: found 0, expected an integer from 1 to 256"),
        ("--threads", "257", "bnn predict: --threads: found 257, expected an integer from 1 to 256"),
        ("--group", "C4 ", '--group: group: found "C4 ", expected C<n> or D<n>'),
        ("--group", "C0", '--group: group: found "C0", expected C<n> or D<n>'),
        ("--draws", "Shared", 'bnn predict: --draws: found "Shared", expected one of "shared", "independent"'),
        ("--predictive", "mean", 'bnn predict: --predictive: found "mean", expected one of "posterior", "group-averaged"'),
        ("--data", "nothing", "bnn predict: found --images and --data, expected one of them"),
        ("--labels", "", 'bnn predict: --labels: expected a value, found ""'),
        ("--labels", "y.npy/", "bnn: y.npy/: cannot open: Not a directory")]:
    row(f"option: {option} '{value}'", {}, PREDICT + [option, value], text)
for value, *texts in [
        ("seed", "--set seed: expected KEY=VALUE, as in train.epochs=10"),
        ("=5", "--set =5: expected KEY=VALUE, as in train.epochs=10"),
        *((f"seed={value}", f"--set seed={value}: seed: found {found}, expected an integer from 0 to 9007199254740991")
          for value, found in (("", '""'), ("0x10", '"0x10"'), ("1 2", '"1 2"'), ("9007199254740993", "9007199254740992"))),
        ("train.epochs=1e999", "--set train.epochs=1e999: train.epochs: found inf, expected an integer from 1 to"),
        ("train.epochs=-1", "--set train.epochs=-1: train.epochs: found -1, expected an integer from 1 to"),
        ("train=5", "--set train=5: train: is an object, expected one of its keys, as in train.epochs"),
        ("colour=1", "--set colour=1: colour: unknown key; the nearest valid key is group"),
        ("a" * 200 + "=1", "--set aaaaaa", "aaa=1: expected KEY=VALUE, as in train.epochs=10"),
        ("model.channels=[1,2", 'model.channels: found "[1,2", expected a list of at most 16 integers from 1 to 65536'),
        ("model.channels=" + "[" * 5000, 'model.channels: found "[[[[[[', "expected a list of at most 16 integers from 1 to 65536"),
        ("group=\x01", '--set group=?: group: found "?", expected C<n> or D<n>'),
        ("group=C4\\u0000", '--set group=C4\\u0000: group: found "C4\\u0000", expected C<n> or D<n>'),
        (os.fsdecode(b"group=\xff"), "--set group=\ufffd: is not valid UTF-8 at byte 7, expected text that JSON can hold")]:
    row(f"option: --set {ascii(value[:40])}", {}, ["train", "config.json", "--out", "new", "--quiet", "--set", value], *texts)
for name, command, file, of in [
        ("the model", "predict m.bin --images x.npy --out m.bin", "m.bin", "m.bin"),
        ("the images", "predict m.bin --images x.npy --out ./x.npy", "./x.npy", "--images"),
        ("a link to the images", "predict m.bin --images x.npy --out link.npy", "link.npy", "--images"),
        ("the labels", "predict m.bin --images x.npy --labels y.npy --out y.npy", "y.npy", "--labels"),
        ("the model's own images", "predict own.bin --out x.npy", "x.npy", "the model's data"),
        ("the model of a run", "symmetrize run --project --out run/model.bin", "run/model.bin", "run"),
        ("the log of a run", "report run --out run/metrics.jsonl", "run/metrics.jsonl", "run"),
        ("the model that is expanded", "expand m.bin --out m.bin", "m.bin", "m.bin"),
        ("the model that is calibrated", "calibrate m.bin --images x.npy --labels y.npy --out m.bin", "m.bin", "m.bin"),
        ("the model that is exported", "export m.bin --onnx --out m.bin", "m.bin", "m.bin")]:
    row(f"option: --out is {name}", {}, command,
        f"bnn {command.split()[0]}: --out: {file}: is read too ({of}), expected another file to write")
for name, command, text in [
        ("--out is a folder", "predict m.bin --images x.npy --out run", "run: is a directory, expected a file to write"),
        ("--out is in no folder", "predict m.bin --images x.npy --out nowhere/o.npy",
         "nowhere/o.npy: cannot create a temporary file beside it: No such file or directory"),
        ("--out is in a file", "predict m.bin --images x.npy --out x.npy/o.npy",
         "x.npy/o.npy: cannot create a temporary file beside it: Not a directory"),
        ("train --out is a file", "train config.json --out x.npy --quiet", "x.npy: is a file, expected a directory"),
        ("train --out holds a run", "train config.json --out run --quiet",
         "run: holds a run already (checkpoint.bin, model.bin, metrics.jsonl, config.json), expected --overwrite to replace it"),
        ("standard input twice", "score --probs - --labels -", "bnn score: found - 2 times, expected one file from standard input"),
        ("expansion beyond the widest layer", "expand wide.bin --out o.bin",
         "wide.bin: orbit expansion: layer 0 of width 300 is too wide for T16, whose 256 elements leave it at most 256"),
        ("path of 1100 bytes", ["info", "a/" * 550 + "m.bin"], "a/a/m.bin: cannot open: No such file or directory"),
        ("path of 5000 bytes", ["info", "a/" * 2500 + "m.bin"], "a/a/m.bin: the path is too long"),
        ("images in a path of 3000 bytes", ["predict", "m.bin", "--images", "a/" * 1500 + "x.npy", "--out", "o.npy"],
         "a/a/x.npy: cannot open: No such file or directory")]:
    row(f"option: {name}", {}, command, text)

# ---- good inputs that tell of much and hold little: exit code 0 or 1 -----------------------------------------------

WIDE = model(dict(MODEL, model=dict(MODEL["model"], input=[1, 65536, 65536])))
modest = [("info of a network on images of 4 G pixels", WIDE, "info @"), ("check of it", WIDE, "check @"),
          ("check of it under another group", WIDE, "check --group D4 @"), ("expansion of it", WIDE, "expand @ --out o.bin"),
          ("images of 13 TB", config(data={"name": "ising", "ising": {"size": 1024, "train_per_temperature": 1000000}}),
           "train @ --out new --quiet", "out of memory for Ising configurations", "7/8 of the machine's memory")]

# ---- what happens -----------------------------------------------------------------------------------------------------


def listing(folder="."):
    """What is there: hashes by paths."""
    return {path: hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else "" for path in pathlib.Path(folder).rglob("*")}


def remove(path):
    if os.path.isdir(path) and not os.path.islink(path):
        shutil.rmtree(path)
    elif os.path.lexists(path):
        os.remove(path)


def run(command):
    """Exit code, standard output, standard error, and the largest memory in KiB."""
    words = command if isinstance(command, list) else [("bad" if word == "@" else word) for word in command.split()]
    with open("../out", "w+b") as out, open("../err", "w+b") as err:
        child = subprocess.Popen([BNN, *words], stdin=subprocess.DEVNULL, stdout=out, stderr=err)
        _, status, usage = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
        out.seek(0), err.seek(0)
        return child.returncode, out.read(), err.read().decode(errors="replace"), usage.ru_maxrss


def judge(files, command, texts, most, codes=(2,)):
    """What is wrong with a row; "" where all is well."""
    if callable(files):
        files()
    else:
        for name, data in ({"bad": files} if isinstance(files, bytes) else files).items():
            put(name, data)
    before = listing()
    code, out, err, memory = run(command)
    err = err.replace(os.getcwd() + "/", "")
    after = listing()
    wrong = [f"exit code {code}"] * (code not in codes)
    if codes == (2,):
        wrong += ["standard output"] * bool(out) + ["not one line"] * (err.count("\n") != 1 or not err.endswith("\n"))
    wrong += [f'does not say "{text}"' for text in texts if text not in err]
    wrong += [f"{path} changed" for path in before if after.get(path) != before[path]]
    wrong += [f"took {memory >> 10} MiB"] * (memory > most)
    return f"{', '.join(wrong)}: {err[:600]}" if wrong else ""


def main():
    global failed
    os.mkdir("malformed")
    os.chdir("malformed")
    prepare()
    most = run("--version")[3] + MEMORY
    only = sys.argv[1:]
    table = [(*one, (2,)) for one in rows] + [(*one[:3], one[3:], (0, 1)) for one in modest]
    for name, files, command, texts, codes in table:
        if only and not any(part in name for part in only):
            continue
        wrong = judge(files, command, texts, most, codes)
        print(f"FAILED {name}: {wrong}" if wrong else f"ok {name}", flush=True)
        failed += bool(wrong)
        for path in ("bad", "bad.json", "new", "o.npy", "o.bin"):
            remove(path)
    return bool(failed)


sys.exit(main())
