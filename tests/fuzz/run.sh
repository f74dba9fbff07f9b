#!/bin/bash
# Runs every fuzz target of a build with the preset `fuzz`, as many at once as there are cores. Wants
# clang and libclang-rt-dev. .ci/run does so; every other build replays the corpora.
#
#   cmake --preset fuzz && cmake --build --preset fuzz --target fuzz_targets
#   tests/fuzz/run.sh [--keep] [SECONDS] [BUILD_DIRECTORY] [TARGET...]
#
# SECONDS (5) is the time of each target. --keep adds to its corpus what reaches code that the corpus
# did not reach. An input that a target fails with lies in BUILD_DIRECTORY/fuzz-failures afterwards;
# once mended, it belongs into the corpus under a name that says what it is.
set -uo pipefail
cd "$(dirname "$0")/../.." || exit 1

export keep=no
if [ "${1-}" = --keep ]; then
  keep=yes
  shift
fi
export seconds=${1-5} build=${2-build/fuzz}
shift $(($# < 2 ? $# : 2))
targets=("$@")
if [ ${#targets[@]} -eq 0 ]; then
  mapfile -t targets < <(ls tests/fuzz/corpus)
fi
export UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1
export failures=$build/fuzz-failures
mkdir -p "$failures"

# The longest input that is worth trying: a slot has 8 KiB, the others need less for every branch.
readonly longest=8192
export longest

fuzz_one() {
  local name=$1 program=$build/bin/fuzz_$1 corpus=tests/fuzz/corpus/$1 found output words=() code=0
  found=$(mktemp -d) || return
  [ ! -e "tests/fuzz/$name.dict" ] || words=("-dict=tests/fuzz/$name.dict")
  output=$("$program" "${words[@]}" -max_total_time="$seconds" -max_len="$longest" -timeout=10 \
    -rss_limit_mb=2048 -print_final_stats=1 -artifact_prefix="$failures/$name-" "$found" "$corpus" 2>&1) ||
    code=$?
  if [ $code -ne 0 ]; then
    printf '%s\n%s: failed (%d)\n' "$output" "$name" $code
  else
    printf '%s: ok, %s inputs tried\n' "$name" \
      "$(sed -n 's/^stat::number_of_executed_units: *//p' <<<"$output")"
    if [ "$keep" = yes ]; then
      "$program" -merge=1 -max_len="$longest" "$corpus" "$found" 2>&1 | tail -n 1
    fi
  fi
  rm -r "$found"
  return $code
}
export -f fuzz_one
printf '%s\0' "${targets[@]}" | xargs -0 -n 1 -P "$(nproc)" bash -c 'fuzz_one "$1"' fuzz
