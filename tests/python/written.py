"""What commands write is read back, also where rho is far below what a sigma can be. BNN names the program; the current folder takes all
files."""

import subprocess

from common import BNN, MODELS, bnn, check, finish, layers, make_model, np, predict, random, read, write


def attempt(name, *steps):
    """Steps of what is written and read: functions, which give back what is wrong, or words of a command."""
    try:
        wrong = [step() if callable(step) else bnn(*step.split()) and "" for step in steps]
    except SystemExit as failure:
        wrong = [str(failure)]
    check(name, "; ".join(filter(None, wrong)))


def all_finite(path, images):
    """What is wrong unless every number of a model, and of its predictions, is finite."""
    def find():
        tensors = read(path)[0]
        wrong = [name for name, tensor in tensors.items() if not np.isfinite(tensor).all()]
        found = predict(path, images)
        return f"{path}: not finite: {', '.join(wrong) or 'predictions'}" if wrong or not np.isfinite(found).all() else ""
    return find


config, x = make_model("fcnn")
np.save("x.npy", x)
np.save("y.npy", np.arange(len(x), dtype="u1") % 5)
calibration = random.normal(0, 1, (40, *x.shape[1:])).astype("f4")
np.save("c.npy", calibration)
np.save("l.npy", np.arange(40, dtype="u1") % 5)
for name, rho in (("fcnn", None), ("least", -800.0), ("below", -100.0), ("large", 50.0)):
    if rho is not None:
        tensors, metadata = read("fcnn.bin")
        tensors = {key: np.where(np.arange(value.size).reshape(value.shape) % 2, np.float32(rho), value) if key.endswith("rho") else value
                   for key, value in tensors.items()}
        write(f"{name}.bin", tensors, metadata)
    attempt(f"written: info and check of {name}", f"info {name}.bin", f"info --json {name}.bin", all_finite(f"{name}.bin", "x.npy"))
    for words in ("symmetrize --project --channels trivial", "symmetrize --average geometric", "symmetrize --average arithmetic", "expand",
                  "expand --arrangement row_rolled", "calibrate --images c.npy --labels l.npy"):
        command = words.split()
        out = f"{name}-{command[0]}.bin"
        attempt(f"written: {words}, {name}", " ".join([command[0], f"{name}.bin", *command[1:], "--out", out]), f"info {out}",
                all_finite(out, "x.npy"))

predictions = "predict fcnn.bin --images x.npy --out"
attempt("written: predictions", f"{predictions} p.npy", "score --probs p.npy --labels y.npy")
attempt("written: predictions over the orbit", f"{predictions} p.npy --orbit", "score --probs p.npy --labels y.npy")
attempt("written: logits of each draw", f"{predictions} l.npy --each-draw --logits", "score --logits l.npy --labels y.npy")
attempt("written: CSV", f"{predictions} p.csv", f"{predictions} p.npy",
        lambda: "" if np.allclose(np.loadtxt("p.csv", delimiter=",", skiprows=1)[:, 1:], np.load("p.npy")) else "CSV is not the array")
attempt("written: sets", "predict fcnn-calibrate.bin --sets --images x.npy --out s.npy",
        lambda: "" if np.load("s.npy").dtype == bool and np.load("s.npy").shape == (len(x), 5) else "sets are no array of bool")
finish()
