#!/usr/bin/env bash
# Runs every case in tests/ the way the challenge's grader does: copies run.sh, src,
# log_input and log_output into temp/, swaps the logs, runs run.sh there, and compares.
set -uo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(dirname "$here")
temp=$here/temp
passed=0
failed=0
for case in "$here"/tests/*/; do
    name=$(basename "$case")
    rm -rf "$temp"
    mkdir "$temp"
    cp -r "$root/run.sh" "$root/src" "$root/log_input" "$root/log_output" "$temp"
    rm -f "$temp"/log_input/* "$temp"/log_output/*
    cp "$case"log_input/* "$temp/log_input/"
    if bash "$temp/run.sh" --quiet &&
        diff "$case"log_output/flagged_purchases.json "$temp/log_output/flagged_purchases.json"; then
        echo "[PASS]: $name"
        passed=$((passed + 1))
    else
        echo "[FAIL]: $name"
        failed=$((failed + 1))
    fi
done
rm -rf "$temp"
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
