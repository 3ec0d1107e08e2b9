#!/usr/bin/env python3
"""The share of the lines of src that tests have reached: tests/coverage.py DIRECTORY, of objects built with --coverage.

A line counts once, whatever it was compiled for, and is reached where one of its objects reached it."""
import collections
import glob
import json
import os
import subprocess
import sys


def lines_of(directory):
    """{file: {line: reached}}"""
    files = collections.defaultdict(dict)
    for note in sorted(glob.glob(f"{directory}/*/**/*.gcno", recursive=True)):
        text = subprocess.run(["gcov", "--json-format", "--stdout", note], check=True, capture_output=True).stdout
        for document in text.splitlines():
            for entry in json.loads(document)["files"]:
                path = os.path.relpath(entry["file"])
                if not path.startswith("src/"):
                    continue
                lines = files[path]
                for line in entry["lines"]:
                    number = line["line_number"]
                    lines[number] = lines.get(number, False) or line["count"] > 0
    return files


def share(name, lines):
    reached = sum(lines)
    print(f"{name:32} {reached:6} of {len(lines):6} lines  {100 * reached / len(lines):6.2f} %")


files = lines_of(sys.argv[1])
rooms = collections.defaultdict(list)
for path, lines in files.items():
    rooms[path.split("/")[1]].extend(lines.values())
for path, lines in sorted(files.items(), key=lambda item: sum(item[1].values()) / len(item[1])):
    if sum(lines.values()) < 0.95 * len(lines):
        share(path, lines.values())
        print("    not reached:", *(number for number in sorted(lines) if not lines[number]))
for room in sorted(rooms):
    share(f"src/{room}", rooms[room])
share("src", [line for lines in files.values() for line in lines.values()])
