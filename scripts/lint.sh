#!/usr/bin/env bash
# Runs the linters: scripts/lint.sh [NAME...], all of them by default. Sets up what is missing.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
python=$(bash scripts/environment.sh lint)
PATH=$(dirname "$python"):$PATH

ruff_check() { ruff check .; }
ruff_format() { ruff format --check .; }
mypy_package() { mypy; }
mypy_tests() { mypy --config-file tests/mypy.ini; }
stubtest() { python -P -m mypy.stubtest fastanomaly._core; }
cython() { cython-lint src/fastanomaly tests/fuzz; }
imports() { lint-imports --no-cache; }

everything=(ruff_check ruff_format mypy_package mypy_tests stubtest cython imports)
failed=()
for name in "${@:-${everything[@]}}"; do
    if [[ " ${everything[*]} " != *" $name "* ]]; then
        echo "scripts/lint.sh: no linter $name; there are ${everything[*]}" >&2
        exit 2
    fi
    echo "-- $name"
    "$name" || failed+=("$name")
done
if [ ${#failed[@]} -gt 0 ]; then
    echo "failed: ${failed[*]}" >&2
    exit 1
fi
