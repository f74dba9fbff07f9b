#!/usr/bin/env bash
# Measures a build, prints one table and writes the same as JSON. Speed is judged as ratios inside one
# run: what is compared takes turns, round by round.
#
#   tests/bench/run.sh BUILD_DIR [--rounds N] [--events N] [--json FILE] [PART]...
#
# --rounds  5; each figure is the median of as many values
# --events  1000000, in the log that catch-up reads
# --json    BUILD_DIR/bench.json
# The parts are told where one is not known; all but `large` are measured where none is named.
set -euo pipefail

build=${1:?usage: tests/bench/run.sh BUILD_DIR [--rounds N] [--events N] [--json FILE] [PART]...}
shift
rounds=5
events=1000000
json=$build/bench.json
parts=()
while [ $# -gt 0 ]; do
  case $1 in
    --rounds) rounds=${2:?--rounds: wanted a number}; shift 2 ;;
    --events) events=${2:?--events: wanted a number}; shift 2 ;;
    --json) json=${2:?--json: wanted a file}; shift 2 ;;
    *) parts+=("$1"); shift ;;
  esac
done
bin=$(cd "$build/bin" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
chmod 755 "$work"
"$bin/bench" "$bin" "$work" "$json" "$rounds" "$events" "${parts[@]}"
