"""Reading ahead: no block is lost or returned twice, even if the thread fails."""

import threading

import pytest

from fastanomaly.sources.files import InputFile, ReadAhead
from fastanomaly.waiting import Waiter

BLOCKS = [bytes([65 + number]) * 10 for number in range(4)]


@pytest.fixture
def source(tmp_path):
    path = tmp_path / "log.json"
    path.write_bytes(b"".join(BLOCKS))
    source = InputFile(str(path), Waiter())
    yield source
    source.close()


def blocks(ahead):
    """Return all blocks of ten bytes."""
    return list(iter(lambda: ahead.read(10), b""))


def test_blocks_come_in_order(source):
    assert blocks(ReadAhead(source)) == BLOCKS


@pytest.mark.parametrize(
    "error", [OSError(5, "Input/output error"), MemoryError(), ValueError()], ids=repr
)
def test_an_error_in_the_thread_reaches_the_reader(source, monkeypatch, error):
    ahead = ReadAhead(source)
    assert ahead.read(10) == BLOCKS[0]
    assert ahead.read(10) == BLOCKS[1]
    ahead._thread.join()  # the third block has been read

    def fail(size):
        raise error

    monkeypatch.setattr(source, "read_now", fail)
    assert ahead.read(10) == BLOCKS[2]
    with pytest.raises(type(error)) as raised:
        ahead.read(10)
    assert raised.value is error


def test_a_thread_that_ends_before_it_reads_is_an_error(source, monkeypatch):
    ahead = ReadAhead(source)
    monkeypatch.setattr(ahead, "_read_next", lambda size: None)
    assert ahead.read(10) == BLOCKS[0]
    with pytest.raises(MemoryError):
        ahead.read(10)


def test_a_reader_works_without_a_thread(source, monkeypatch):
    def refuse(thread):
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    assert blocks(ReadAhead(source)) == BLOCKS
