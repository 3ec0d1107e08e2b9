#!/usr/bin/env python3
"""Makes a problem of rare classes of FashionMNIST: five kinds of clothes, 80, 10, 5, 3 and 2 % of the images, as IDX files.

    data/rare.py [FASHION_MNIST [FOLDER]]       (Debian's /usr/share/datasets/fashion-mnist; data/rare beside this script)

5000 images are for training, 2000 for validation and 1250 for testing; configs/rare.json reads them. It needs Python alone.
"""
import gzip
import os
import random
import struct
import sys

CLASSES = (2, 0, 3, 4, 6)  # pullover, T-shirt, dress, coat, shirt
SHARES = (0.80, 0.10, 0.05, 0.03, 0.02)
PIXELS = 28 * 28


def read(folder, split, kind):
    """The bytes after an IDX file's header, gzip-compressed or not."""
    path = os.path.join(folder, f"{split}-{kind}-ubyte")
    header = 16 if kind.startswith("images") else 8
    if os.path.exists(path):
        return open(path, "rb").read()[header:]
    return gzip.open(path + ".gz").read()[header:]


def images_of(folder, split):
    """The images of each class."""
    pixels, labels = read(folder, split, "images-idx3"), read(folder, split, "labels-idx1")
    images = {c: [] for c in range(10)}
    for i, label in enumerate(labels):
        images[label].append(pixels[PIXELS * i:PIXELS * (i + 1)])
    return images


def write(folder, name, images, first, count):
    """`count` images by the shares, of each class from its `first` on."""
    items = [(x, k) for k, c in enumerate(CLASSES) for x in images[c][first:first + round(count * SHARES[k])]]
    random.Random(1).shuffle(items)
    with open(os.path.join(folder, name + "-images"), "wb") as file:
        file.write(struct.pack(">IIII", 0x803, len(items), 28, 28) + b"".join(x for x, _ in items))
    with open(os.path.join(folder, name + "-labels"), "wb") as file:
        file.write(struct.pack(">II", 0x801, len(items)) + bytes(k for _, k in items))


def main():
    source = sys.argv[1] if len(sys.argv) > 1 else "/usr/share/datasets/fashion-mnist"
    folder = sys.argv[2] if len(sys.argv) > 2 else os.path.join(os.path.dirname(os.path.abspath(__file__)), "rare")
    os.makedirs(folder, exist_ok=True)
    train = images_of(source, "train")
    write(folder, "train", train, 0, 5000)
    write(folder, "validation", train, 4000, 2000)
    write(folder, "test", images_of(source, "t10k"), 0, 1250)
    print(f"data/rare.py: made {folder}")


main()
