"""A small HTTP server for metrics, whose threads and descriptors are bounded.

One thread serves all connections. There are at most `MOST_CONNECTIONS`, each for at most
`SECONDS`; one more replaces the oldest, so idle connections keep nobody else out.
"""

from __future__ import annotations

import contextlib
import os
import selectors
import socket
import threading
import time
import weakref
from collections.abc import Callable
from typing import TYPE_CHECKING

from fastanomaly.errors import OutputError

if TYPE_CHECKING:
    from fastanomaly.telemetry.address import Address

MOST_CONNECTIONS = 16
SECONDS = 5.0
"""How old a connection may become."""

_LARGEST_REQUEST = 1 << 14
_READ_BYTES = 1 << 12
_PAUSE_SECONDS = 0.5

Answer = Callable[[str], tuple[str, bytes]]
"""From the request's Accept header to the content type and the body."""


class _Connection:
    """A connection: its request until it is complete, then what is left of the response."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.deadline = time.monotonic() + SECONDS
        self.request = b""
        self.response = memoryview(b"")


class Server:
    """Serves metrics at an address, in a thread of its own.

    Parameters
    ----------
    address : Address
    answer : callable
        Makes the response; called in the thread.

    Raises
    ------
    OutputError
        If the address cannot be used; names it.

    Attributes
    ----------
    has_thread : bool
        Whether a thread could be started; if not, `serve` must be called now and then.
    """

    def __init__(self, address: Address, answer: Answer) -> None:
        self._answer = answer
        self._connections: dict[socket.socket, _Connection] = {}
        self._closing = False
        try:
            # Text would be encoded by a module that is slow to import.
            host = address.host.encode() if address.host.isascii() else address.host
            family, *_, place = socket.getaddrinfo(
                host, address.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
            )[0]
            self._listening = socket.create_server(place[:2], family=family, backlog=64)
        except OSError as error:
            raise _address_error(address, error) from error
        try:
            self._listening.setblocking(False)
            self._selector = selectors.DefaultSelector()
            self._selector.register(self._listening, selectors.EVENT_READ)
            self._wake, self._waiting = socket.socketpair()
            self._selector.register(self._waiting, selectors.EVENT_READ)
        except OSError as error:
            self._listening.close()
            raise _address_error(address, error) from error
        self._thread = threading.Thread(target=self._serve_on, name="metrics", daemon=True)
        self.has_thread = True
        try:
            self._thread.start()
        except RuntimeError:  # such as a limit of the user's processes
            self.has_thread = False
        _servers.add(self)

    def close(self) -> None:
        """Stop serving."""
        _servers.discard(self)
        self._closing = True
        if self.has_thread:
            with contextlib.suppress(OSError):
                self._wake.send(b"x")
            self._thread.join()
        self.close_descriptors()

    def close_descriptors(self) -> None:
        """Close what is open; in a forked child, which has no thread, this is all."""
        for sock in (*self._connections, self._listening, self._wake, self._waiting):
            sock.close()
        self._selector.close()

    def serve(self) -> None:
        """Serve what has come, without waiting; only if there is no thread."""
        for _ in range(MOST_CONNECTIONS):  # the caller has other work
            if not self._serve_ready(0.0):
                break

    def _serve_on(self) -> None:
        while not self._closing:
            self._serve_ready(self._seconds_left())

    def _serve_ready(self, seconds: float | None) -> bool:
        """Serve what comes first within some seconds; return whether anything came."""
        ready = self._selector.select(seconds)
        for key, _ in ready:
            if key.fileobj is self._listening:
                self._accept()
            elif key.data is not None:
                self._go_on(key.data)
        now = time.monotonic()
        for connection in list(self._connections.values()):
            if connection.deadline <= now:
                self._drop(connection)
        return bool(ready)

    def _seconds_left(self) -> float | None:
        """Return the time until the oldest connection must go."""
        oldest = next(iter(self._connections.values()), None)
        return None if oldest is None else max(0.0, oldest.deadline - time.monotonic())

    def _accept(self) -> None:
        try:
            sock, _ = self._listening.accept()
        except (BlockingIOError, ConnectionError):
            return
        except OSError:  # no descriptor left: make room, and do not spin
            self._drop_oldest()
            if self.has_thread:
                time.sleep(_PAUSE_SECONDS)
            return
        if len(self._connections) >= MOST_CONNECTIONS:
            self._drop_oldest()
        try:
            sock.setblocking(False)
            connection = _Connection(sock)
            self._selector.register(sock, selectors.EVENT_READ, connection)
            self._connections[sock] = connection
        except OSError:
            sock.close()

    def _drop_oldest(self) -> None:
        oldest = next(iter(self._connections.values()), None)
        if oldest is not None:
            self._drop(oldest)

    def _drop(self, connection: _Connection) -> None:
        if self._connections.pop(connection.sock, None) is not None:
            self._selector.unregister(connection.sock)
            connection.sock.close()

    def _go_on(self, connection: _Connection) -> None:
        """Read more of a request, or write more of a response."""
        if connection.sock not in self._connections:
            return  # dropped since the selector reported it
        try:
            if not connection.response:
                self._read(connection)
            if connection.response:
                sent = connection.sock.send(connection.response)
                connection.response = connection.response[sent:]
                if not connection.response:
                    connection.sock.shutdown(socket.SHUT_WR)
                    self._drop(connection)
        except BlockingIOError:
            pass
        except Exception:  # whatever is wrong with one connection ends only that one
            self._drop(connection)

    def _read(self, connection: _Connection) -> None:
        data = connection.sock.recv(_READ_BYTES)
        connection.request += data
        if b"\r\n\r\n" in connection.request or b"\n\n" in connection.request:
            connection.response = memoryview(self._response(connection.request))
            self._selector.modify(connection.sock, selectors.EVENT_WRITE, connection)
        elif not data or len(connection.request) > _LARGEST_REQUEST:
            self._drop(connection)

    def _response(self, request: bytes) -> bytes:
        first, *rest = request.decode("latin-1").splitlines()
        method = first.split(" ")[0]
        if method not in ("GET", "HEAD"):
            return _message("405 Method Not Allowed", "text/plain", b"")
        accept = ""
        for line in rest:
            name, _, value = line.partition(":")
            if name.strip().lower() == "accept":
                accept = value.strip()
        kind, body = self._answer(accept)
        return _message("200 OK", kind, body, head_only=method == "HEAD")


def _address_error(address: Address, error: OSError) -> OutputError:
    """Return an error that names the option and the address."""
    return OutputError(f"--metrics: {address_text(address)}: {error.strerror or error}")


def address_text(address: Address) -> str:
    """Return an address as it is written after ``--metrics``."""
    host = f"[{address.host}]" if ":" in address.host else address.host
    return f"{host}:{address.port}"


def _message(status: str, kind: str, body: bytes, *, head_only: bool = False) -> bytes:
    head = (
        f"HTTP/1.1 {status}\r\nServer: fastanomaly\r\nContent-Type: {kind}\r\n"
        f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    )
    return head.encode("latin-1") + (b"" if head_only else body)


_servers: weakref.WeakSet[Server] = weakref.WeakSet()


def _close_in_child() -> None:
    for server in list(_servers):
        server.close_descriptors()


# A child that outlives a killed run must not keep the port.
os.register_at_fork(after_in_child=_close_in_child)
