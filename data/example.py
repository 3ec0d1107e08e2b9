#!/usr/bin/env python3
"""Makes an example of files of your own: images of three classes, as .npy arrays, as an .npz archive, and as a folder of PNGs.

    data/example.py [FOLDER]        (data/example beside this script)

It needs Python alone. With NumPy, what it writes is numpy.save("images.npy", images) and numpy.savez_compressed("cells.npz",
train_images=..., train_labels=..., val_images=..., ...); configs/own-npy.json, own-npz.json and own-png.json read it.

Images are 64 x 64, of three channels, uint8: a cell at a random place, turned by a random angle, under noise: a disc, a ring or a
rod. 600 are for training, 100 for validation, 200 for testing.
"""
import math
import os
import random
import struct
import sys
import zipfile
import zlib

SIDE, CHANNELS, CLASSES = 64, 3, ("disc", "ring", "rod")
COUNTS = {"train": 600, "val": 100, "test": 200}


def inside(kind, x, y, size):
    """Whether a point, seen from the cell's centre and axis, belongs to it."""
    if kind == "rod":
        return abs(x) < 1.6 * size and abs(y) < 0.4 * size
    r = math.hypot(x, y)
    return (0.55 * size if kind == "ring" else 0) < r < size


def cell(rng, kind):
    """An image as bytes (SIDE, SIDE, CHANNELS)."""
    size, angle = rng.uniform(8, 14), rng.uniform(0, 2 * math.pi)
    cx, cy = rng.uniform(24, 40), rng.uniform(24, 40)
    colour = [rng.randint(30, 110) for _ in range(CHANNELS)]
    c, s = math.cos(angle), math.sin(angle)
    noise = rng.randbytes(SIDE * SIDE * CHANNELS)
    image = bytearray(n >> 1 for n in noise)
    reach = int(1.7 * size) + 1
    for y in range(max(0, int(cy) - reach), min(SIDE, int(cy) + reach + 1)):
        for x in range(max(0, int(cx) - reach), min(SIDE, int(cx) + reach + 1)):
            u, v = x - cx, y - cy
            if inside(kind, c * u + s * v, c * v - s * u, size):
                at = CHANNELS * (y * SIDE + x)
                for k in range(CHANNELS):
                    image[at + k] = min(255, image[at + k] + colour[k])
    return bytes(image)


def npy(data, shape):
    """The bytes of an .npy file of uint8."""
    header = "{'descr': '|u1', 'fortran_order': False, 'shape': %s, }" % (tuple(shape),)
    header += " " * (-(len(header) + 11) % 64) + "\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header.encode() + data


def png(image):
    """The bytes of a PNG file of 8 bits and three colours."""
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    row = SIDE * CHANNELS
    rows = b"".join(b"\0" + image[y * row:(y + 1) * row] for y in range(SIDE))
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", SIDE, SIDE, 8, 2, 0, 0, 0))
            + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b""))


def channels_first(image):
    return b"".join(image[k::CHANNELS] for k in range(CHANNELS))


def write(path, data):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as file:
        file.write(data)


def main():
    here = os.path.dirname(os.path.abspath(__file__))
    folder = sys.argv[1] if len(sys.argv) > 1 else os.path.join(here, "example")
    rng = random.Random(1)
    os.makedirs(folder, exist_ok=True)
    with zipfile.ZipFile(os.path.join(folder, "cells.npz"), "w", zipfile.ZIP_DEFLATED) as archive:
        for split, count in COUNTS.items():
            labels = [i % len(CLASSES) for i in range(count)]
            images = [cell(rng, CLASSES[label]) for label in labels]
            # .npy: channels first, labels (N)
            write(os.path.join(folder, split + "-images.npy"),
                  npy(b"".join(map(channels_first, images)), (count, CHANNELS, SIDE, SIDE)))
            write(os.path.join(folder, split + "-labels.npy"), npy(bytes(labels), (count,)))
            # .npz: as MedMNIST has it, channels last, labels (N, 1)
            archive.writestr(split + "_images.npy", npy(b"".join(images), (count, SIDE, SIDE, CHANNELS)))
            archive.writestr(split + "_labels.npy", npy(bytes(labels), (count, 1)))
            # PNG: a folder for each split, in it one for each class
            for i, image in enumerate(images):
                write(os.path.join(folder, "png", split, CLASSES[labels[i]], "%03d.png" % i), png(image))
    print("data/example.py: made", folder)


if __name__ == "__main__":
    main()
