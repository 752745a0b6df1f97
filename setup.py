"""Build the one extension module. Options are environment variables:

FASTANOMALY_DEBUG=1        the checked build: bounds, None and division checks, asserts, -O0
FASTANOMALY_SANITIZE=LIST  compile for sanitizers of gcc or clang: address,undefined or thread

Changing one needs a forced rebuild (pip install --force-reinstall --no-cache-dir .).
"""

import os
import shutil
import sys

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

CHECKED = os.environ.get("FASTANOMALY_DEBUG", "0") not in ("", "0")
SANITIZERS = os.environ.get("FASTANOMALY_SANITIZE", "")

# Python's own flags have -g: without -g0 a wheel would be seven times as large.
compile_args = ["-O0", "-g", "-UNDEBUG"] if CHECKED else ["-O3", "-g0"]
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
    """Rebuild every time, and explain what to do if there is no compiler."""

    def initialize_options(self):
        super().initialize_options()
        # A module built with other options must not pass for up to date.
        self.force = True
        self.cython_c_in_temp = True
        self.cython_directives = DIRECTIVES

    def build_extensions(self):
        command = getattr(self.compiler, "compiler_so", None) or ["cc"]
        if shutil.which(command[0]) is None:
            sys.exit(
                f"fastanomaly needs a C compiler, but {command[0]!r} was not found. "
                "Install gcc or clang (Debian, Ubuntu: apt-get install gcc python3-dev; "
                "Fedora: dnf install gcc python3-devel; macOS: xcode-select --install), "
                "or set CC to your compiler."
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
