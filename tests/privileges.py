"""Prefixes of a command line that take rights from root, whom limits do not bind."""

import sys

_DAC_OVERRIDE, _DAC_READ_SEARCH, _SYS_ADMIN, _SYS_RESOURCE = 1, 2, 21, 24
_DROP = """\
import ctypes, os, resource, sys
if os.geteuid() == 0:
    for capability in {capabilities}:
        if ctypes.CDLL(None, use_errno=True).prctl(24, capability, 0, 0, 0):  # PR_CAPBSET_DROP
            sys.exit("prctl: " + os.strerror(ctypes.get_errno()))
{then}os.execv(sys.argv[1], sys.argv[1:])
"""

# The command may open only what the permissions of files allow.
PERMISSIONS = (
    sys.executable,
    "-c",
    _DROP.format(capabilities=(_DAC_OVERRIDE, _DAC_READ_SEARCH), then=""),
)


def process_limit(count):
    """Return a prefix that limits the processes and threads of the user."""
    # The limit is on those of the real user, and root's are not counted.
    then = (
        f"resource.setrlimit(resource.RLIMIT_NPROC, ({count}, {count}))\n"
        "if os.geteuid() == 0:\n"
        "    os.setresuid(65534, 0, 0)\n"
    )
    code = _DROP.format(capabilities=(_SYS_ADMIN, _SYS_RESOURCE), then=then)
    return (sys.executable, "-c", code)
