"""Stop signals: none is missed, at any moment."""

import os
import random
import signal
import threading

import pytest

from fastanomaly.errors import Stopped
from fastanomaly.runs.stopping import StopSignals


@pytest.fixture(autouse=True)
def interrupts():
    """Let SIGINT have its effect, which shells take from background jobs."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture
def pipe():
    read, write = os.pipe()
    yield read, write
    os.close(read)
    os.close(write)


def wait_on(signals, fd, seconds):
    while True:
        assert not signals.wait(fd, seconds)


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_before_a_wait_stops_it(pipe, signum):
    with StopSignals() as signals:
        signal.raise_signal(signum)
        with pytest.raises(Stopped) as stopped:
            signals.wait(pipe[0])
    assert stopped.value.exit_status == 128 + signum


def test_a_signal_around_the_start_of_a_wait_stops_it(pipe):
    choose = random.Random(1)
    for _ in range(300):
        with StopSignals() as signals:
            thread = threading.Timer(
                choose.random() * 1e-3, os.kill, (os.getpid(), signal.SIGTERM)
            )
            thread.start()
            with pytest.raises(Stopped):
                wait_on(signals, pipe[0], choose.choice([None, 1e-3]))
            thread.join()


def test_a_wait_tells_whether_there_is_input(pipe):
    with StopSignals() as signals:
        assert not signals.wait(pipe[0], 0.001)
        os.write(pipe[1], b"x")
        assert signals.wait(pipe[0], 10)
        assert not signals.wait(None, 0.001)
