#!/bin/bash
# Shows that the simulation finds what it is there to find: each patch beside this script is a defect
# of the engine. It is applied to a copy of the tree, where sim_test, failure_sim_test or engine_test
# must fail; without any they must pass. Needs what a build needs, and about half a minute for each
# patch. Exits 1 when one survives.
#
#   tests/sim/mutants/run.sh [PATCH...]
#
# A patch that does not apply or build any more is as bad as one that survives: it is to be made
# anew, by `git diff` of the same defect.
set -uo pipefail

here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../../.." && pwd)
patches=("$@")
[ $# -gt 0 ] || patches=("$here"/*.patch)
readonly seeds=100000
readonly limit=120  # Seconds. Some defects never come to an end, which is found too.

copy=$(mktemp -d) || exit 1
trap 'rm -rf "$copy"' EXIT

fail() {
  echo "$1" >&2
  [ -z "${2:-}" ] || cat "$2" >&2
  exit 1
}

build() {
  cmake --build --preset release -j2 \
    --target sim_test failure_sim_test engine_test >"$copy/build.log" 2>&1
}

passes() {
  timeout $limit build/release/bin/engine_test --gtest_brief=1 >"$copy/run.log" 2>&1 &&
    timeout $limit build/release/bin/failure_sim_test --gtest_brief=1 >"$copy/run.log" 2>&1 &&
    timeout $limit build/release/bin/sim_test --seeds $seeds --gtest_brief=1 >"$copy/run.log" 2>&1
}

for patch in "${patches[@]}"; do
  [ -f "$patch" ] || fail "$patch: no such patch"
done
mapfile -t patches < <(realpath -- "${patches[@]}")

mkdir "$copy/tree" && cd "$root" || exit 1
git ls-files -co --exclude-standard -z | xargs -0 cp --parents -t "$copy/tree" || exit 1
cd "$copy/tree" || exit 1
cmake --preset release -Wno-dev >"$copy/build.log" 2>&1 && build ||
  fail "the tree itself does not build:" "$copy/build.log"
passes || fail "the tree itself fails:" "$copy/run.log"

bad=()
for patch in "${patches[@]}"; do
  name=$(basename "$patch" .patch)
  if ! git apply "$patch" 2>"$copy/build.log"; then
    bad+=("$name")
    echo "DOES NOT APPLY  $name: $(head -n 1 "$copy/build.log")"
    continue
  fi
  if ! build; then
    bad+=("$name")
    echo "DOES NOT BUILD  $name: $(grep -m1 'error:' "$copy/build.log")"
  elif passes; then
    bad+=("$name")
    echo "SURVIVES        $name"
  else
    echo "found           $name: $(grep -m1 -A1 '^seed \|Failure$' "$copy/run.log" | tr -s '\n ' ' ' | cut -c1-150)"
  fi
  git apply -R "$patch" || fail "$name: cannot be taken back"
done
if [ ${#bad[@]} -ne 0 ]; then
  echo "of ${#patches[@]} mutants these are not found: ${bad[*]}" >&2
  exit 1
fi
