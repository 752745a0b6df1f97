"""--metrics: what is an address, and a server that idle connections cannot exhaust."""

import socket
import time
import urllib.request

import pytest
from cli.commandline import wait_until

from fastanomaly.errors import UsageError
from fastanomaly.telemetry import server as serving
from fastanomaly.telemetry.address import parse_target
from fastanomaly.telemetry.server import Server

DETECT = ("detect", "batch.json", "stream.json", "out", "--metrics")


@pytest.mark.parametrize(
    ("target", "address"),
    [
        ("9100", ("127.0.0.1", 9100)),
        (":9100", ("127.0.0.1", 9100)),
        ("0.0.0.0:9100", ("0.0.0.0", 9100)),
        ("[::1]:9184", ("::1", 9184)),
        ("localhost:65535", ("localhost", 65535)),
        ("metrics.prom", None),
        ("./9100", None),
        ("folder/a:1b", None),
    ],
)
def test_addresses_and_files(target, address):
    assert parse_target(target) == address


WRONG = "999999 -1 0x23 0 99999 1e3 9_100 a:b ::1 ::1:9184 [::1] 127.0.0.1 host: - 9100.0"


@pytest.mark.parametrize("target", [*WRONG.split(), ""])
def test_a_wrong_address_makes_no_file(folder, run, target):
    with pytest.raises(UsageError, match="--metrics"):
        parse_target(target)
    ended = run(*DETECT[:-1], f"--metrics={target}")
    assert (ended.status, "--metrics" in ended.err) == (2, True)
    assert sorted(path.name for path in folder.iterdir()) == ["batch.json", "stream.json"]


def test_a_port_in_use_is_named(folder, run):
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        ended = run(*DETECT, f"{port}")
    assert ended.status == 1
    assert f"--metrics: 127.0.0.1:{port}: Address already in use" in ended.err
    assert not (folder / "out").exists()


@pytest.fixture
def server():
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    made = Server(
        parse_target(f"{port}"), lambda accept: ("text/plain", b"metrics " * 100_000)
    )
    yield made, port
    made.close()


def fetch(port):
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=30) as answer:
        return answer.headers["Server"], answer.read()


def test_idle_connections_are_bounded_in_number(server):
    _, port = server
    idle = [socket.create_connection(("127.0.0.1", port)) for _ in range(100)]
    try:
        assert fetch(port) == ("fastanomaly", b"metrics " * 100_000)
        assert len(server[0]._connections) <= serving.MOST_CONNECTIONS
    finally:
        for sock in idle:
            sock.close()


def test_idle_connections_are_bounded_in_age(server, monkeypatch):
    monkeypatch.setattr(serving, "SECONDS", 0.3)
    with socket.create_connection(("127.0.0.1", server[1]), timeout=30) as idle:
        begun = time.monotonic()
        idle.sendall(b"GET / HT")
        assert idle.recv(1) == b""
        assert time.monotonic() - begun < 20
    wait_until(lambda: not server[0]._connections, "the connection is dropped")


def test_other_requests_are_answered_or_dropped(server):
    for request, start in (
        (b"POST / HTTP/1.1\r\n\r\n", b"HTTP/1.1 405"),
        (b"x" * 99_999, b""),
    ):
        with socket.create_connection(("127.0.0.1", server[1]), timeout=30) as sock:
            try:
                sock.sendall(request)
                assert sock.recv(12) == start
            except ConnectionError:
                assert not start
