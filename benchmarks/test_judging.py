"""Measure judging purchases, by degree, in the state after the sample."""

import json

import pytest

from fastanomaly import Detector

DEGREES = (1, 2, 3, 4)
TRACKED = 50


@pytest.fixture(scope="module")
def batch(sample_logs):
    """Return the batch log without its parameter line."""
    return sample_logs.batch.read_bytes().partition(b"\n")[2]


@pytest.fixture(scope="module")
def stream(sample_logs):
    """Return the stream log."""
    return sample_logs.stream.read_bytes()


@pytest.fixture
def loaded(batch, degree):
    """Return the arguments of a round: a detector with the batch log loaded."""

    def load():
        detector = Detector(degree, TRACKED)
        detector.feed(batch, judge=False)
        return (detector,), {}

    return load


@pytest.fixture
def record(benchmark, stream, degree, sample_logs, expected):
    """Record the time per purchase, if the flags are right."""

    def check(flagged):
        assert b"".join(line + b"\n" for line in flagged) == expected(sample_logs, degree)
        benchmark.extra_info["answers"] = f"right: {len(flagged)} flags"
        if benchmark.stats:
            purchases = stream.count(b'"purchase"')
            us_per_purchase = benchmark.stats["min"] / purchases * 1e6
            benchmark.extra_info["us_per_purchase"] = round(us_per_purchase, 2)

    return check


@pytest.mark.benchmark(group="judge 1,000 stream events, as lines")
@pytest.mark.parametrize("degree", DEGREES)
def test_feed(benchmark, stream, loaded, record):
    def feed(detector):
        return detector.feed(stream).flags

    flags = benchmark.pedantic(feed, setup=loaded, rounds=5)
    record([flag.to_line() for flag in flags])


@pytest.mark.benchmark(group="judge 1,000 stream events, one call each")
@pytest.mark.parametrize("degree", DEGREES)
def test_calls(benchmark, stream, loaded, record):
    lines = stream.splitlines()
    events = [json.loads(line) for line in lines]

    def call(detector):
        flags = []
        for line, event in enumerate(events):
            match event["event_type"]:
                case "purchase":
                    flag = detector.purchase(event["id"], event["amount"], event["timestamp"])
                    if flag:
                        flags.append((line, flag))
                case "befriend":
                    detector.befriend(event["id1"], event["id2"])
                case "unfriend":
                    detector.unfriend(event["id1"], event["id2"])
        return flags

    flags = benchmark.pedantic(call, setup=loaded, rounds=5)
    record(
        [
            b'%b, "mean": "%b", "sd": "%b"}'
            % (lines[line].removesuffix(b"}"), flag.mean.encode(), flag.sd.encode())
            for line, flag in flags
        ]
    )
