#!/bin/bash
# Installs what is missing, builds everything and runs every test: on a bare Debian 12 machine, as root
# or with sudo, this is all there is to do. Exits 1 when anything fails or no test ran.
#
#   tests/run.sh [--full] [--all-lint]
#
# --full      also what takes longer: lint, the sanitizers, fuzzing, more histories and more kills; .ci/run
# --all-lint  with --full: clang-tidy over every source, which takes half an hour on two cores
#
# A benchmark is no test: tests/bench/run.sh build/release.
set -uo pipefail
cd "$(dirname "$0")/.." || exit 1
umask 022  # a plugin that others may write to is refused

full=no
all_lint=
for argument in "$@"; do
  case $argument in
    --full) full=yes ;;
    --all-lint) all_lint=--all ;;
    *)
      echo "usage: tests/run.sh [--full] [--all-lint]; found $argument" >&2
      exit 2
      ;;
  esac
done

# Deaths that a sanitizer answers itself, with its own report and exit code.
readonly sanitizer_owns=RunnerCrashTest.SegmentationFaultIsReportedAndStaysTrue:RunnerCrashTest.ExitByThePluginIsChargedToItsEvent

# Most tests wait more than they compute.
readonly at_once=$((2 * $(nproc)))
export full all_lint at_once sanitizer_owns

# The names of the stages that failed, one a line: some run at once, in processes of their own.
failures=$(mktemp) || exit 1
trap 'rm -f "$failures"' EXIT
export failures

# stage NAME COMMAND...: runs it, says how long it took, notes a failure and goes on.
stage() {
  local name=$1 begin=$SECONDS code=0
  shift
  printf '\n== %s\n' "$name"
  "$@" || code=$?
  printf '== %s: %s after %d s\n' "$name" "$([ $code -eq 0 ] && echo ok || echo "failed ($code)")" \
    $((SECONDS - begin))
  [ $code -eq 0 ] || echo "$name" >>"$failures"
  return $code
}

# in_one_piece COMMAND...: what it says comes once it has ended.
in_one_piece() {
  local output code=0
  output=$("$@" 2>&1) || code=$?
  printf '%s\n' "$output"
  return $code
}

# together COMMAND...: runs all of them at once, each of them one word of shell for a process of its own.
together() {
  export -f $(compgen -A function)
  printf '%s\0' "$@" | xargs -0 -n 1 -P $# bash -c
}

packages() {
  . examples/quickstart/debian-packages.sh || return
  install_packages "${build_packages[@]}" "${test_packages[@]}" || return
  [ "$full" = no ] || install_packages "${lint_packages[@]}" "${fuzz_packages[@]}"
}

# build PRESET [TARGET...]
build() {
  local preset=$1
  shift
  cmake --preset "$preset" -Wno-dev >/dev/null || return
  cmake --build --preset "$preset" -j "$(nproc)" ${1:+--target "$@"}
}

# sanitized_test PRESET NAME [ARGUMENT...]: runs it as a whole; what it says comes in one piece once it
# has ended.
sanitized_test() {
  local preset=$1 name=$2 begin=$SECONDS output code=0
  shift 2
  output=$(timeout 600 "build/$preset/bin/$name" --gtest_brief=1 "--gtest_filter=-$sanitizer_owns" \
    "$@" 2>&1) || code=$?
  [ $code -eq 0 ] || printf '%s\n' "$output"
  printf '%s: %s %s after %d s\n' "$preset" "$name" \
    "$([ $code -eq 0 ] && echo ok || echo "failed ($code)")" $((SECONDS - begin))
  return $code
}

# sanitized PRESET...: runs the tests that tests/CMakeLists.txt names for them, the first ones first.
sanitized() {
  local preset
  export -f sanitized_test
  for preset; do
    sed "s/^/$preset /" "build/$preset/sanitized_tests" || return
  done | xargs -P "$at_once" -L 1 bash -c 'sanitized_test "$@"' bash
}

# longer_test NAME: what takes a minute and more. One computes, the others wait most of their time.
longer_test() {
  case $1 in
    database)
      stage "a database that is gone for a minute" env CATCHUP_TEST_LONG=1 \
        build/release/bin/e2e_postgres_test --gtest_brief=1 \
        --gtest_filter='*NoTroubleOfTheServer*'
      ;;
    histories)  # of other seeds than those of the test before
      stage "more histories" build/release/bin/sim_test --first 1000000 \
        --seeds 500000 --threads 2
      ;;
    mutants)  # others for each tree, so that a run can be repeated
      stage "defects that the tests must find" tests/sim/mutants/run.sh \
        --some 3 "$(git rev-parse 'HEAD^{tree}' 2>/dev/null || echo none)"
      ;;
    kills)
      stage "more kills" build/release/bin/e2e_kill_test --gtest_repeat=3 --gtest_brief=1
      ;;
    letter_kills)
      stage "more kills around letters" env CATCHUP_TEST_LONG=1 \
        build/release/bin/e2e_letter_kill_test --gtest_brief=1
      ;;
  esac
}

# All of them at once.
longer_tests() {
  local names=(database histories mutants kills letter_kills)
  together "${names[@]/#/in_one_piece longer_test }"
}

# compiled: what does nothing but compute. At the lowest priority it fills the pauses of the longer tests
# beside it, whose deadlines are longer, too.
compiled() {
  local code=0
  renice -n 19 $$ >/dev/null || return
  in_one_piece stage "build for the address sanitizer" build asan sanitized_tests || code=1
  in_one_piece stage "build for the thread sanitizer" build tsan sanitized_tests || code=1
  in_one_piece stage "build for fuzzing" build fuzz fuzz_targets || code=1
  in_one_piece stage "lint" tests/lint.sh $all_lint --compiled build/asan build/release || code=1
  return $code
}

# Tests and builds leave nothing behind in the tree but what .gitignore names.
# Outside a clone, or without git, there is nothing to compare with.
tree_state() {
  if [ -e .git ] && command -v git >/dev/null; then
    git status --porcelain
  fi
}

unchanged() {
  local now
  now=$(tree_state) || return
  [ "$now" = "$before" ] || {
    printf 'the tree was\n%s\nand is now\n%s\n' "${before:-clean}" "${now:-clean}" >&2
    return 1
  }
}

stage packages packages || exit 1
before=$(tree_state) || exit 1
stage "release build" build release || exit 1
stage "tree unchanged by the build" unchanged
# They were installed above: what needs them fails rather than be skipped.
export CATCHUP_NEEDS_POSTGRESQL=1 CATCHUP_NEEDS_FAKETIME=1
stage "tests" ctest --preset release -j "$at_once" --no-tests=error
if [ "$full" = yes ]; then
  stage "longer tests, and beside them lint and builds" together \
    'in_one_piece stage "longer tests" longer_tests' compiled
  export ASAN_OPTIONS=detect_stack_use_after_return=1 UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1
  export LSAN_OPTIONS="suppressions='$PWD/tests/leaks.supp':print_suppressions=0"
  stage "sanitizers" sanitized tsan asan
  unset ASAN_OPTIONS LSAN_OPTIONS UBSAN_OPTIONS
  stage "fuzzing" tests/fuzz/run.sh 5 build/fuzz
fi
unchanged || echo "tree unchanged by the tests" >>"$failures"
if [ -s "$failures" ]; then
  sed 's/^/failed: /' "$failures" >&2
  exit 1
fi
