"""Run a command; print its wall time in seconds, its ru_maxrss and its exit status.

Run it as `python -I -S measure.py PROGRAM ARGUMENTS...`.

It is a process of its own because a process takes over the peak memory of the one that
started it: this one is so small (8 MB) that nothing measured is smaller.
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
