"""Without the library of an extra, the command that installs it is named."""

import subprocess
import sys

import pytest

LOGS = ("batch.json", "stream.json")
ZSTD = b"\x28\xb5\x2f\xfd" + b"\0" * 20

CASES = [
    ("arrow", "pyarrow.parquet", ("sweep", *LOGS, "-D1", "-T2", "-o", "table.parquet")),
    ("cluster", "ray", ("detect", *LOGS, "out", "--cluster", "local")),
    ("metrics", "prometheus_client", ("detect", *LOGS, "out", "--metrics", "metrics")),
    ("picture", "matplotlib", ("explain", *LOGS, "--flag", "1", "--picture", "why.svg")),
    ("report", "plotly.graph_objects", ("report", *LOGS, "-o", "report.html")),
    ("tables", "pyarrow", ("detect", *LOGS, "out.parquet")),
    ("tables", "pyarrow", ("simulate", "-o", "events.csv")),
    ("zstd", "backports", ("detect", "batch.zst", "stream.json", "out")),
]


@pytest.mark.parametrize(("extra", "module", "arguments"), CASES)
def test_without_the_library_the_command_to_install_it_is_named(
    folder, extra, module, arguments
):
    (folder / "batch.zst").write_bytes(ZSTD)
    missing = [module, "compression.zstd"]
    code = (
        f"import sys; sys.modules.update(dict.fromkeys({missing!r}))\n"
        "from fastanomaly.cli.main import main; sys.exit(main(sys.argv[1:]))"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code, *arguments], cwd=folder, capture_output=True, check=False
    )
    install = f"install it with: {sys.executable} -m pip install 'fastanomaly[{extra}]'\n"
    assert ended.returncode == 2, ended.stderr
    assert ended.stderr.decode().endswith(install)
