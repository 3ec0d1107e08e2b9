# What scripts that train share: a small configuration, and logs without times. Sourced by them.
# shellcheck shell=sh

# configuration SEED MODE EPOCHS OPTIMISER: of a run of a second or two, on x.npy and y.npy
configuration() {
    cat << END
{"seed": $1, "data": {"name": "npy", "train_images": "x.npy", "train_labels": "y.npy", "validation_size": 8}, "group": "C4",
 "model": {"type": "fcnn", "channels": [8, 8]}, "prior": {"std": "learned"},
 "symmetrization": {"mode": "$2"}, "train": {"epochs": $3, "batch_size": 8, "optimizer": {"name": "$4"}, "checkpoint_minutes": 0.0005},
 "eval": {"samples": 4}}
END
}

untimed() {
    sed 's/"seconds":[^,]*,"image_samples_per_second":[^,}]*,*//' "$1"
}
