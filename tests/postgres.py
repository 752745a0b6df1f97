"""A PostgreSQL server for tests: its own data, on a socket in a temporary folder."""

import os
import shutil
import signal
import subprocess
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

PATIENCE = 120  # seconds


def binaries():
    """Return the folder of PostgreSQL's programs; skip the test if it is not installed."""
    found = [path.parent for path in sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))]
    if on_path := shutil.which("postgres"):
        found.append(Path(on_path).resolve().parent)
    if not found:
        pytest.skip("PostgreSQL is not installed (Debian, Ubuntu: apt-get install postgresql)")
    return found[-1]


class Server:
    """A server that can be killed and started again."""

    def __init__(self):
        self._bin = binaries()
        self.folder = Path(tempfile.mkdtemp(prefix="postgres-"))
        # The runtime of a sanitizer, which is loaded before all else, is for Python only.
        self._as: dict[str, Any] = {"env": {**os.environ, "LD_PRELOAD": ""}}
        if os.geteuid() == 0:  # PostgreSQL refuses to be run by root
            self._as |= {"user": "postgres", "group": "postgres", "extra_groups": []}
            shutil.chown(self.folder, "postgres", "postgres")
        self._data = self.folder / "data"
        self._run("initdb", "-D", self._data, "-U", "postgres", "-A", "trust", "-E", "UTF8")
        self._process = None
        self.start()

    def _run(self, program, *arguments):
        done = subprocess.run(
            [self._bin / program, *arguments],
            cwd=self.folder,
            capture_output=True,
            check=False,
            **self._as,
        )
        assert done.returncode == 0, done.stderr.decode()

    def start(self):
        """Start it, and wait until it answers."""
        options = {"listen_addresses": "", "unix_socket_directories": self.folder}
        settings = [f"--{key}={value}" for key, value in options.items()]
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [self._bin / "postgres", "-D", self._data, *settings],
                cwd=self.folder,
                stderr=log,
                start_new_session=True,
                **self._as,
            )
        deadline = time.monotonic() + PATIENCE
        while not self.answers():
            assert self._process.poll() is None, (self.folder / "log").read_text()
            assert time.monotonic() < deadline
            time.sleep(0.05)

    @property
    def pid(self):
        """The process that starts one for each connection."""
        return self._process.pid

    def answers(self):
        """Return whether it takes connections."""
        command = [self._bin / "pg_isready", "-q", "-h", self.folder, "-U", "postgres"]
        return subprocess.run(command, check=False).returncode == 0

    def kill(self):
        """Kill it with all that serve connections, as a power cut would."""
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait(PATIENCE)

    def close(self):
        """End it, and remove its data."""
        self.kill()
        shutil.rmtree(self.folder)

    def url(self, parameters="", user="postgres", database="postgres"):
        """Return the URL of a database, with more parameters such as ``table=flags``."""
        more = f"&{parameters}" if parameters else ""
        return f"postgresql://{user}@/{database}?host={self.folder}{more}"

    @contextmanager
    def asking_for_passwords(self):
        """Ask all but the administrator for passwords, as long as this context lasts."""
        rules = self._data / "pg_hba.conf"
        before = rules.read_text()
        rules.write_text("local all postgres trust\nlocal all all scram-sha-256\n")
        self._reload()
        yield
        rules.write_text(before)
        self._reload()

    def _reload(self):
        import psycopg  # noqa: PLC0415 - some tests run without it

        with psycopg.connect(self.url(), autocommit=True) as connection:
            loaded = "SELECT pg_conf_load_time()"
            [before] = connection.execute(loaded).fetchone()
            connection.execute("SELECT pg_reload_conf()")
            while connection.execute(loaded).fetchone() == (before,):
                time.sleep(0.01)
