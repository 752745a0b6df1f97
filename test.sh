#!/usr/bin/env bash
# Runs the tests on the installed package. Sets up what is missing. Arguments are passed to
# pytest: --profile ci and --profile nightly test more.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
python=$(bash scripts/environment.sh test)
exec "$python" -P -m pytest "$@"
