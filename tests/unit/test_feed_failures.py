"""What a run does when feeding a block fails, for example for want of memory."""

import signal

import pytest
from cli.commandline import BATCH, FLAGS, STREAM

from fastanomaly import Detector, FeedError, detect
from fastanomaly.runs.checkpoints.forked import ForkedCheckpoints

PATHS = ("batch.json", "stream.json", "out")


def test_no_checkpoint_is_begun_after_a_failure(tmp_path, monkeypatch):
    """A checkpoint that fails, too, would hide the failure; resuming loses nothing."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "batch.json").write_bytes(BATCH)
    (tmp_path / "stream.json").write_bytes(STREAM * 3)
    calls = []

    def failing_feed(self, lines, **options):
        fed = Detector.feed(self, lines, **options)
        if options["judge"]:
            calls.append("failure")
            raise FeedError("out of memory", fed, fed.lines)
        return fed

    def recording_begin(self, *state):
        calls.append("checkpoint")
        ForkedCheckpoints.begin(self, *state)
        self.wait()

    with monkeypatch.context() as patch:
        failing = type("Failing", (Detector,), {"feed": failing_feed})
        patch.setattr("fastanomaly.runs.detectors.Detector", failing)
        recording = type("Recording", (ForkedCheckpoints,), {"begin": recording_begin})
        patch.setattr("fastanomaly.runs.checkpoints.forked.ForkedCheckpoints", recording)
        with pytest.raises(FeedError, match="out of memory"):
            detect(*PATHS, checkpoint="kept", every=1)
    assert calls[-2:] == ["checkpoint", "failure"]
    assert (tmp_path / "out").read_bytes() == FLAGS
    detect(*PATHS, checkpoint="kept", every=1)
    assert (tmp_path / "out").read_bytes() == FLAGS * 3


def test_an_interrupt_is_no_failure():
    detector = Detector(2, 5)
    lines = b'{"\\u0061": 1e999}\n' * 1000  # read again in Python, where signals are served
    detector.feed(lines)

    def interrupt(_, frame):
        # Elsewhere it would not be in feed, or orjson would replace it by its own error.
        if frame.f_code.co_name == "reread":
            signal.setitimer(signal.ITIMER_REAL, 0)
            raise KeyboardInterrupt

    def feed_for_ever():
        while True:
            detector.feed(lines)

    before = signal.signal(signal.SIGALRM, interrupt)
    signal.setitimer(signal.ITIMER_REAL, 0.005, 0.005)
    try:
        with pytest.raises(KeyboardInterrupt):
            feed_for_ever()
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert detector.feed(STREAM).lines == STREAM.count(b"\n")
