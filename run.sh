#!/usr/bin/env bash
# Judges log_input/stream_log.json after loading log_input/batch_log.json, in the folder of this
# script, and writes log_output/flagged_purchases.json. Sets up what is missing. Arguments are
# passed to `fastanomaly detect`.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# A copy of this script in a folder below the project uses the project's environment.
root=$here
until [ -f "$root/scripts/environment.sh" ]; do
    if [ "$root" = / ]; then
        echo "run.sh: no fastanomaly project in $here or above it" >&2
        exit 1
    fi
    root=$(dirname "$root")
done
python=$(bash "$root/scripts/environment.sh")
mkdir -p "$here/log_output"
# glibc asks Linux for pages of 2 MB, of which there are fewer to set up and to find; with an
# empty value it does not (docs/benchmarks.md).
export GLIBC_TUNABLES=${GLIBC_TUNABLES-glibc.malloc.hugetlb=1}
# As `-m fastanomaly`, which imports more before it.
exec "$python" -P -c 'from fastanomaly.__main__ import run; run()' detect \
    "$here/log_input/batch_log.json" "$here/log_input/stream_log.json" \
    "$here/log_output/flagged_purchases.json" "$@"
