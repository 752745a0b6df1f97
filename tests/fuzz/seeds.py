"""Write the first inputs: seeds.py command|checkpoints FOLDER."""

import os
import sys
from pathlib import Path

FOLDER = Path(__file__).parent


def command_seeds():
    """Yield small random logs with every option, and the scanner's corpus as stream logs."""
    sys.path.insert(0, str(FOLDER.parent))
    from randomlogs import random_logs  # noqa: PLC0415 - these need no more than the tests

    for seed in range(2000):
        logs = random_logs(seed)
        if len(logs.batch) + len(logs.stream) < 2900:
            yield bytes([seed % 256]) + logs.batch + b"~\n" + logs.stream
    lines = FOLDER.joinpath("corpus.txt").read_bytes().split(b"\n")
    for start in range(0, len(lines), 20):
        head = bytes([start % 256]) + b'{"D":"2","T":"3"}\n~\n'
        yield head + b"\n".join(lines[start : start + 20])


def checkpoint_seeds():
    """Yield the checkpoints of detect after every line of its logs."""
    from checkpoints import FOLDER as LOGS  # noqa: PLC0415 - instruments what it imports
    from checkpoints import KEPT, command_line, prepare  # noqa: PLC0415

    from fastanomaly.cli import main as cli  # noqa: PLC0415

    prepare()
    whole = (LOGS / "stream.json").read_bytes()
    for lines in range(len(whole.splitlines())):
        cut = b"".join(whole.splitlines(keepends=True)[:lines])
        (LOGS / "stream.json").write_bytes(cut + b"no event\n")
        cli.main([*command_line(), "--fresh", "--strict"])
        for path in KEPT.glob("checkpoint-*"):
            yield path.read_bytes()
        cli.main([*command_line(), "--fresh"])
        for path in KEPT.glob("checkpoint-*"):
            yield path.read_bytes()
    prepare()


def main():
    """Write a file for each input."""
    seeds = {"command": command_seeds, "checkpoints": checkpoint_seeds}[sys.argv[1]]
    for number, data in enumerate(seeds()):
        Path(sys.argv[2], f"seed-{os.getpid()}-{number:04}").write_bytes(data)


if __name__ == "__main__":
    main()
