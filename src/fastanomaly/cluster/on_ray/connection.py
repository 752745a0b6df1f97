"""Connecting to a Ray cluster, or starting one on this machine."""

from __future__ import annotations

import logging
import signal
import socket
from contextlib import contextmanager
from threading import current_thread, main_thread
from typing import TYPE_CHECKING

import ray

from fastanomaly.errors import UsageError
from fastanomaly.processors import available_processors

if TYPE_CHECKING:
    from collections.abc import Iterator

LOCAL = "local"
NAMESPACE = "fastanomaly"
_CLIENT = "ray://"
_REACHED_SECONDS = 10.0


@contextmanager
def connected(address: str, processors: int) -> Iterator[None]:
    """Connect to Ray as long as the context lasts; it runs no new cluster in another one.

    Parameters
    ----------
    address : str
        ``local`` to start Ray on this machine, or where it runs: HOST:PORT of its head, or
        ``auto`` for the one that was started on this machine.
    processors : int
        How many all shards together take: a local cluster says that it has so many.

    Raises
    ------
    UsageError
        If Ray does not answer, or this process is connected already.
    """
    if ray.is_initialized():
        raise UsageError(f"{address}: this process is already connected to a Ray cluster")
    _check_reachable(address)
    room = max(processors, available_processors()) if address == LOCAL else None
    handler = signal.getsignal(signal.SIGTERM)
    try:
        ray.init(
            address=address,
            namespace=NAMESPACE,
            log_to_driver=False,
            logging_level=logging.ERROR,
            num_cpus=room,
        )
    except (ConnectionError, RuntimeError, ValueError) as error:
        reason = str(error).partition("\n")[0]
        raise UsageError(f"{address}: cannot connect to Ray: {reason}") from error
    # Ray ends the process at SIGTERM; what the caller does instead is what it should do.
    if current_thread() is main_thread():
        signal.signal(signal.SIGTERM, handler)
    try:
        yield
    finally:
        ray.shutdown()


def _check_reachable(address: str) -> None:
    """Raise UsageError if nothing listens at HOST:PORT: Ray would try for minutes."""
    host, colon, port = address.removeprefix(_CLIENT).rpartition(":")
    if not colon:
        return
    try:
        socket.create_connection((host.strip("[]"), int(port)), _REACHED_SECONDS).close()
    except (OSError, ValueError) as error:
        raise UsageError(f"{address}: cannot connect to Ray: {error}") from error
