"""Run a command; print its wall time in seconds, its ru_maxrss and its exit status.

Run it as `python -I -S measure.py PROGRAM ARGUMENTS...`.

It is a separate process because a process inherits the peak memory of its parent: this one
is so small (8 MB) that everything measured is larger.
"""

import os
import sys
import time

NO_OUTPUT = (os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0)

command = sys.argv[1:]
started = time.perf_counter()
child = os.posix_spawn(command[0], command, os.environ, file_actions=[NO_OUTPUT])
_, status, usage = os.wait4(child, 0)
wall = time.perf_counter() - started
print(wall, usage.ru_maxrss, os.waitstatus_to_exitcode(status))
