"""`explain --picture` does not depend on the user's configuration of matplotlib."""

import pytest
from cli.commandline import BATCH, STREAM, run_command

pytest.importorskip("matplotlib", reason="pictures need the extra picture")

EXPLAIN = ("explain", "batch.json", "stream.json", "--line", "1", "--picture")
BACKENDS = ("nonsense", "inline", "module://absent", "template")


@pytest.fixture(scope="module")
def usual(tmp_path_factory):
    """Return the picture that is drawn without any configuration."""
    folder = tmp_path_factory.mktemp("usual")
    (folder / "batch.json").write_bytes(BATCH)
    (folder / "stream.json").write_bytes(STREAM)
    assert run_command(*EXPLAIN, "usual.png", cwd=folder).status == 0
    return (folder / "usual.png").read_bytes()


@pytest.mark.parametrize("backend", BACKENDS)
def test_any_backend(folder, run, usual, backend):
    ended = run(*EXPLAIN, "why.png", under=("env", f"MPLBACKEND={backend}"))
    assert (ended.status, ended.err) == (0, "fastanomaly: wrote why.png\n")
    assert (folder / "why.png").read_bytes() == usual


def test_any_matplotlibrc(folder, run, usual):
    text = (
        "text.usetex: True\nsavefig.format: eps\nfont.size: 50\nbackend: svg\nsavefig.dpi: 9\n"
    )
    (folder / "matplotlibrc").write_text(text)
    ended = run(*EXPLAIN, "why.png")
    assert (ended.status, ended.err) == (0, "fastanomaly: wrote why.png\n")
    assert (folder / "why.png").read_bytes() == usual


def test_an_unreadable_matplotlibrc(folder, run):
    (folder / "matplotlibrc").write_bytes(b"\xff\xfe\xff")
    ended = run(*EXPLAIN, "why.png")
    assert ended.status == 2
    assert "why.png: matplotlib refuses its configuration: " in ended.err
    assert "Traceback" not in ended.err
    assert not (folder / "why.png").exists()
