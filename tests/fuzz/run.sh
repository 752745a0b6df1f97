#!/usr/bin/env bash
# Fuzzes the scanner: tests/fuzz/run.sh [RUNS], 10^8 by default, then merges the new inputs
# into corpus.txt. Needs clang with libFuzzer (Debian: clang, libclang-rt-dev), Cython and
# the headers of Python; PYTHON names the interpreter.
set -euo pipefail
runs=${1:-100000000}
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
python=${PYTHON:-python3}
work=${FUZZ_WORK:-$(mktemp -d)}
mkdir -p "$work/corpus" "$work/merged"
"$python" -m cython -3 --include-dir "$here/../../src" \
    -X boundscheck=False,wraparound=False,cdivision=True \
    -o "$work/scanner.c" "$here/scanner.pyx"
setting() { "$python" -c "import sysconfig as s; print(s.get_config_var('$1'))"; }
libraries=$(setting LIBDIR)
clang -O2 -g -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=undefined \
    -Wno-everything -I"$(setting INCLUDEPY)" "$here/harness.c" "$here/oracle.c" \
    "$work/scanner.c" -L"$libraries" -Wl,-rpath,"$libraries" \
    -lpython"$(setting LDVERSION)" -o "$work/fuzz"
"$python" "$here/corpus.py" unpack "$here/corpus.txt" "$work/corpus"
"$work/fuzz" -runs="$runs" -max_len=256 -dict="$here/tokens.dict" -use_value_profile=1 \
    -print_final_stats=1 "$work/corpus"
"$work/fuzz" -merge=1 "$work/merged" "$work/corpus"
"$python" "$here/corpus.py" pack "$here/corpus.txt" "$work/merged"
