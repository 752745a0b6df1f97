"""Network namespaces of this machine as hosts of a Ray cluster."""

import os
import subprocess
import sys
from pathlib import Path

BRIDGE = "fa-bridge"
NETWORK = "10.77.0"
PORT = 6399
RAY = Path(sys.executable).with_name("ray")
OPTIONS = ("--num-cpus=2", "--object-store-memory=100000000")
# Ray's nodes let in only who has the token, which is in a file that these hosts share.
ENVIRONMENT = {**os.environ, "RAY_AUTH_MODE": "token", "PYTHONUNBUFFERED": "1"}


def ip(*words):
    return subprocess.run(["ip", *words], check=True, capture_output=True, text=True).stdout


def reason_against():
    """Return why there cannot be hosts here, or None."""
    try:
        ip("netns", "add", "fa-try")
        ip("netns", "delete", "fa-try")
    except (OSError, subprocess.CalledProcessError) as error:
        return f"no network namespaces can be made: {error}"
    return None


class Hosts:
    """Hosts 1 to `count`, of which the first is the head; a context manager."""

    def __init__(self, count):
        self.numbers = range(1, count + 1)
        self.address = f"{NETWORK}.1:{PORT}"

    def __enter__(self):
        ip("link", "add", BRIDGE, "type", "bridge")
        ip("link", "set", BRIDGE, "up")
        for number in self.numbers:
            name, end = f"fa{number}", f"fa-end{number}"
            ip("netns", "add", name)
            ip("link", "add", end, "type", "veth", "peer", "name", "eth0", "netns", name)
            ip("link", "set", end, "master", BRIDGE, "up")
            ip("-n", name, "address", "add", f"{NETWORK}.{number}/24", "dev", "eth0")
            ip("-n", name, "link", "set", "eth0", "up")
            ip("-n", name, "link", "set", "lo", "up")
            self.start_ray(number)
        return self

    def __exit__(self, *_):
        for number in self.numbers:
            self.kill(number)
            ip("netns", "delete", f"fa{number}")
        ip("link", "delete", BRIDGE)

    def command(self, number, *words):
        """Return a command that runs on a host."""
        return ["ip", "netns", "exec", f"fa{number}", *map(str, words)]

    def start_ray(self, number):
        where = f"--address={self.address}"
        if number == 1:
            where = f"--head --port={PORT} --include-dashboard=false --disable-usage-stats"
        own = f"--node-ip-address={NETWORK}.{number}"
        command = self.command(number, RAY, "start", *where.split(), own, *OPTIONS)
        done = subprocess.run(
            command, check=False, env=ENVIRONMENT, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stdout + done.stderr

    def cut_off(self, number, cut=True):
        """Cut a host off from the others, or connect it again."""
        ip("link", "set", f"fa-end{number}", "down" if cut else "up")

    def kill(self, number):
        """Kill all processes of a host."""
        while processes := ip("netns", "pids", f"fa{number}").split():
            subprocess.run(["kill", "-KILL", *processes], check=False, capture_output=True)
