#!/usr/bin/env bash
# Installs this source tree into ../.venv unless it is installed there, and prints its Python.
# Usage: environment.sh [EXTRA]       (EXTRA: test, benchmark, lint, docs)
# A checksum of the sources tells whether they have changed: a second call does nothing, and
# a third one does not compute it, unless a file or folder has changed since.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
extra=${1:-}
venv=$root/.venv
python=$venv/bin/python

say() { echo "fastanomaly: $*" >&2; }

find_python() {
    local name
    for name in python3 python3.14 python3.13 python3.12 python3.11; do
        if "$name" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            command -v "$name"
            return
        fi
    done
    say "needs Python 3.11 or newer, but found none (python3, python3.11, ...)"
    exit 1
}

stamp=$venv/installed-$extra
# Whether no source has changed since the stamp's time. Not if find cannot tell, nor if the
# environment is a link: other sources may have been installed there since.
untouched() {
    [ -x "$python" ] && [ -e "$stamp" ] && [ ! -L "$venv" ] && [ -z "$(
        cd "$root"
        find src pyproject.toml setup.py -newercm "$stamp" -print -quit 2>&1 || echo unknown
    )" ]
}
if untouched; then
    echo "$python"
    exit
fi

# A file with the time before the sources are read: beside the stamp, whose time it will be, or
# elsewhere if there is no environment yet.
looked=$(mktemp "$venv/looked.XXXXXX" 2>/dev/null || mktemp)
trap 'rm -f "$looked"' EXIT
sources=$(
    cd "$root"
    find src pyproject.toml setup.py -type f \
        \( -name '*.py' -o -name '*.pyx' -o -name '*.pxd' -o -name '*.pyi' -o -name '*.toml' \
           -o -path '*/reports/page/*' \) |
        LC_ALL=C sort | xargs cat | cksum
)
if [ "$(cat "$stamp" 2>/dev/null)" = "$sources" ] && "$python" -IS -c '' 2>/dev/null; then
    touch -r "$looked" "$stamp" 2>/dev/null || true # others may own it
    echo "$python"
    exit
fi

say "setting up $venv (once per version of the sources)"
if ! "$python" -m pip --version >/dev/null 2>&1; then
    base=$(find_python)
    rm -rf "$venv"
    if ! "$base" -m venv "$venv" >/dev/null 2>&1; then
        # Some systems ship Python without ensurepip: use their own pip then.
        rm -rf "$venv"
        if ! { "$base" -m venv --without-pip "$venv" &&
            "$base" -m pip --python "$python" install --quiet pip; } >&2; then
            say "cannot make a virtual environment (Debian, Ubuntu: apt-get install python3-venv)"
            exit 1
        fi
    fi
fi
if [ "$(cat "$venv/installed-" 2>/dev/null)" = "$sources" ] &&
    "$python" -m pip show --quiet fastanomaly; then
    # These sources are installed: only what the extra needs is missing, so do not rebuild.
    what=fastanomaly
else
    rm -f "$venv"/installed-*
    # Files of an earlier build would be installed too, even of modules removed since.
    rm -rf "$root/build" "$root"/src/*.egg-info
    what=$root
fi
"$python" -m pip install --quiet --disable-pip-version-check "$what${extra:+[$extra]}" >&2
echo "$sources" >"$venv/installed-"
echo "$sources" >"$stamp"
# Sources may have changed meanwhile: the next call compares them again.
touch -t 200001010000 "$venv/installed-" "$stamp"
echo "$python"
