"""Unpack the corpus, one input a line, for the fuzzer, and pack what the fuzzer leaves."""

import sys
from pathlib import Path


def unpack(corpus: Path, folder: Path) -> None:
    """Write a file for each line."""
    for number, line in enumerate(corpus.read_bytes().split(b"\n")):
        (folder / f"{number:06}").write_bytes(line)


def pack(corpus: Path, folder: Path) -> None:
    """Write a line for each file: the text before its first line feed."""
    lines = {path.read_bytes().split(b"\n")[0] for path in folder.iterdir()}
    shortest_first = sorted(lines, key=lambda line: (len(line), line))
    corpus.write_bytes(b"\n".join(shortest_first))


if __name__ == "__main__":
    {"pack": pack, "unpack": unpack}[sys.argv[1]](Path(sys.argv[2]), Path(sys.argv[3]))
