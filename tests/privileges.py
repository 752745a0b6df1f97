"""Prefixes of a command line that take rights from root, which limits do not bind else."""

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
