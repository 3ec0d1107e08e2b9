"""Model files in and out of Python, by the README's lines."""

from common import *


def numpy_written():
    """Of the least that a file has to say, every network predicts and scores as NumPy does."""
    for name in MODELS:
        config, images = make_model(name)
        np.save("images.npy", images)
        np.save("labels.npy", np.arange(len(images)) % config["model"]["classes"])
        pad = config.get("data", {}).get("pad", 0)
        padded = np.pad(images, ((0, 0), (0, 0), (pad, pad), (pad, pad)), constant_values=-0.5)
        expected = logits(read(f"{name}.bin")[0], config, padded)
        wrong = difference(predict(f"{name}.bin", "images.npy", "--mean", "--logits"), expected)
        p = softmax(expected)[np.arange(len(images)), np.load("labels.npy")]
        figures = json.loads(bnn("eval", f"{name}.bin", "--images", "images.npy", "--labels", "labels.npy", "--mean",
                                 "--json"))
        if not wrong and abs(figures["nll"] + np.log(p).mean()) > 1e-5:
            wrong = f"eval's nll is {figures['nll']}, expected {-np.log(p).mean()}"
        if not wrong and abs(figures["accuracy"] - (expected.argmax(1) == np.load("labels.npy")).mean()) > 1e-9:
            wrong = f"eval's accuracy is {figures['accuracy']}"
        check(f"numpy-writes-{name}", wrong)


def trained():
    """The README's example, run as it stands: a trained model goes through Python unchanged."""
    train("run")
    os.chdir("run")
    exec(README, {})
    os.chdir("..")
    tensors, metadata = read("run/model.bin")
    images = np.load("train.npy")
    np.save("images.npy", images)
    found = predict("run", "images.npy", "--mean", "--logits")
    check("numpy-reads-a-trained-model", difference(found, logits(tensors, json.loads(metadata["config"]), images)))
    for options in ("--mean", "--each-draw"):
        same = np.array_equal(predict("run", "images.npy", options), predict("run/back.bin", "images.npy", options))
        check(f"back-from-numpy{options}", "" if same else "other predictions")
    both = [json.loads(bnn("eval", model, "--json")) for model in ("run/model.bin", "run/back.bin")]
    same = all(both[0][key] == both[1][key] for key in ("accuracy", "nll", "ece", "brier", "elbo"))
    check("back-from-numpy-eval", "" if same else f"{both[0]} and {both[1]}")


def published():
    """Checkpoints of the published code, as they are and with the least metadata: logits that this code computed."""
    for name in ("fcnn", "cnn_fc", "cnn_fc_random_prior"):
        folder = TOP / "tests/reference" / name
        tensors, metadata = read(folder / "model.bin")
        config, images = json.loads(metadata["config"]), np.load(folder / "images.npy")
        expected = np.load(folder / "mean_logits_orbit.npy")
        turned = [logits(tensors, config, np.rot90(images, k, (2, 3))) for k in range(4)]
        check(f"published-{name}-in-numpy", difference(np.stack(turned), expected, 1e-12))
        state = {key: value for key, value in tensors.items() if ".prior_" not in key}
        model = {key: config["model"][key] for key in ("type", "input", "classes", "channels")}
        write("back.bin", state, {"format": "bnn", "config": json.dumps({"group": "C4", "model": model})})
        found = predict("back.bin", folder / "images.npy", "--mean", "--logits", "--orbit")
        check(f"published-{name}-in-bnn", difference(found, expected))


numpy_written()
trained()
published()
finish()
