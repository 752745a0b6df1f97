"""Kill runs that write to a database at random moments: each flag is there once in the end.

The profile sets the number of kills.
"""

import random
import shutil
import subprocess
import sys
import time

import profiles
import pytest
from crash.longlogs import write_logs
from databases import KINDS, Place

COMMAND = (sys.executable, "-m", "fastanomaly", "detect", "batch.json", "stream.json")
KILLS = profiles.current().kills_of_libraries


@pytest.mark.parametrize("every", ["300", "0.01s"])
@pytest.mark.parametrize("kind", KINDS)
def test_each_flag_is_there_once_after_kills(tmp_path, monkeypatch, request, kind, every):
    monkeypatch.chdir(tmp_path)
    write_logs(tmp_path, 4000, 16000)
    place = Place(kind, tmp_path, request)
    begun = time.monotonic()
    subprocess.run([*COMMAND, place.name(), "-q"], check=True, timeout=300)
    seconds = time.monotonic() - begun
    expected = place.flags()
    assert len(expected) > 100
    command = [*COMMAND, place.name(), "-q", "--checkpoint", "kept", "--every", every]
    choose = random.Random(f"{kind} {every}")
    kills = resumed = 0
    begins = True
    while kills < KILLS:
        if begins:
            place.execute("DROP TABLE IF EXISTS flags")
            shutil.rmtree("kept", ignore_errors=True)
        resumed += any((tmp_path / "kept").glob("checkpoint-*"))
        process = subprocess.Popen(command, stderr=subprocess.PIPE)
        try:
            _, err = process.communicate(timeout=choose.uniform(0.5, 2.5) * seconds)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
            kills += 1
            begins = False
            continue
        assert process.returncode == 0, err
        assert place.flags() == expected
        begins = True
    subprocess.run(command, check=True, timeout=300)
    assert place.flags() == expected
    # A few may all come before the first checkpoint.
    assert resumed or KILLS < 50
