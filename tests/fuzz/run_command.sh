#!/usr/bin/env bash
# Fuzzes the whole command or the checkpoint reader, guided by the coverage of the C and the
# Python code: tests/fuzz/run_command.sh command|checkpoints [SECONDS], an hour by default.
# Needs clang and an Atheris wheel for the interpreter, which PYTHON names.
set -euo pipefail
target=$1
seconds=${2:-3600}
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$here/../..
work=${FUZZ_WORK:-$(mktemp -d)}
python=$work/venv/bin/python
mkdir -p "$work/$target"
if [ ! -x "$python" ]; then
    "${PYTHON:-python3}" -m venv "$work/venv"
    "$python" -m pip install --quiet 'atheris>=3'
    # Build from a copy, so that files of this build do not end up in an ordinary one.
    mkdir "$work/source"
    cp -r "$root"/{src,setup.py,pyproject.toml,README.md,LICENSE} "$work/source"
    CC=clang LDSHARED="clang -shared" FASTANOMALY_SANITIZE=address,undefined,fuzzer-no-link \
        "$python" -m pip install --quiet --no-cache-dir "$work/source[zstd]"
fi
export LD_PRELOAD ASAN_OPTIONS=detect_leaks=0:allocator_may_return_null=1
export PYTHONPATH=$here:$root/tests PYTHONMALLOC=malloc
LD_PRELOAD=$("$python" -c 'import atheris; print(atheris.path())')/asan_with_fuzzer.so
cd "$work"
"$python" "$here/seeds.py" "$target" "$work/$target"
"$python" "$here/$target.py" -max_total_time="$seconds" -timeout=20 -rss_limit_mb=1024 \
    -max_len=3000 -dict="$here/tokens.dict" -print_final_stats=1 "$work/$target"
