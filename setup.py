"""Builds the one extension module. Switches, read from the environment:

FASTANOMALY_DEBUG=1        the checked build: bounds, None and division checks, asserts, -O0
FASTANOMALY_SANITIZE=LIST  compile for gcc's or clang's sanitizers, e.g. address,undefined

Switching one needs a forced rebuild (pip install --force-reinstall --no-cache-dir .).
"""

import os
import shutil
import sys

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

CHECKED = os.environ.get("FASTANOMALY_DEBUG", "0") not in ("", "0")
SANITIZERS = os.environ.get("FASTANOMALY_SANITIZE", "")

compile_args = ["-O0", "-g", "-UNDEBUG"] if CHECKED else ["-O3"]
link_args = []
if SANITIZERS:
    compile_args += [
        "-g",
        "-fno-omit-frame-pointer",
        f"-fsanitize={SANITIZERS}",
        "-fno-sanitize-recover=all",
    ]
    link_args += [f"-fsanitize={SANITIZERS}"]


DIRECTIVES = {
    "language_level": 3,
    "embedsignature": True,
    "boundscheck": CHECKED,
    "wraparound": False,
    "initializedcheck": CHECKED,
    "nonecheck": CHECKED,
    "cdivision": not CHECKED,
}


class BuildExtension(build_ext):
    """Builds anew each time, and says plainly when there is no compiler."""

    def initialize_options(self):
        super().initialize_options()
        # What was built under other switches must not be taken for up to date.
        self.force = True
        self.cython_c_in_temp = True
        self.cython_directives = DIRECTIVES

    def build_extensions(self):
        command = getattr(self.compiler, "compiler_so", None) or ["cc"]
        if shutil.which(command[0]) is None:
            sys.exit(
                f"fastanomaly needs a C compiler, and there is no {command[0]!r} here. "
                "Install gcc or clang (Debian, Ubuntu: apt-get install gcc python3-dev; "
                "Fedora: dnf install gcc python3-devel; macOS: xcode-select --install), "
                "or set CC to the one you have."
            )
        super().build_extensions()


setup(
    cmdclass={"build_ext": BuildExtension},
    ext_modules=[
        Extension(
            "fastanomaly._core",
            ["src/fastanomaly/_core.pyx"],
            extra_compile_args=compile_args,
            extra_link_args=link_args,
            define_macros=[] if CHECKED else [("CYTHON_WITHOUT_ASSERTIONS", "1")],
        )
    ],
)
