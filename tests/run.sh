#!/bin/bash
# Installs what is missing, builds everything and runs every test: on a bare Debian 12 machine, as root
# or with sudo, this is all there is to do. Exits 1 when anything fails or no test ran.
#
#   tests/run.sh [--quick] [--all-lint]
#
# --quick     only the release build and its tests: no sanitizers, no lint
# --all-lint  clang-tidy over every source, which takes half an hour on two cores
#
# A benchmark is no test: tests/bench/run.sh build/release.
set -uo pipefail
cd "$(dirname "$0")/.." || exit 1
umask 022  # a plugin that others may write to is refused

quick=no
lint=()
for argument in "$@"; do
  case $argument in
    --quick) quick=yes ;;
    --all-lint) lint=(--all) ;;
    *)
      echo "usage: tests/run.sh [--quick] [--all-lint]; found $argument" >&2
      exit 2
      ;;
  esac
done

# Everything that runs without gRPC, whose libraries are not built with a sanitizer. Under TSan only
# what has threads of its own on both sides of shared memory.
readonly asan_tests=(base_test log_test config_test ring_test ring_scribble_test ring_stress_test
  runner_test engine_test sim_test sim_checker_test store_test abi_layout_test json_text_test
  event_line_test plugin_layer_test)
# Deaths that a sanitizer answers itself, with its own report and exit code.
readonly sanitizer_owns=RunnerCrashTest.SegmentationFaultIsReportedAndStaysTrue:RunnerCrashTest.ExitByThePluginIsChargedToItsEvent
readonly tsan_tests=(ring_test ring_stress_test log_test)

failed=()
# stage NAME COMMAND...: runs it, says how long it took, notes a failure and goes on.
stage() {
  local name=$1 begin=$SECONDS code=0
  shift
  printf '\n== %s\n' "$name"
  "$@" || code=$?
  printf '== %s: %s after %d s\n' "$name" "$([ $code -eq 0 ] && echo ok || echo "failed ($code)")" \
    $((SECONDS - begin))
  if [ $code -ne 0 ]; then
    failed+=("$name")
  fi
  return $code
}

packages() {
  . examples/quickstart/debian-packages.sh || return
  install_packages "${build_packages[@]}" sqlite3 || return
  [ "$quick" = yes ] || install_packages "${lint_packages[@]}"
}

# build PRESET [TARGET...]
build() {
  local preset=$1
  shift
  cmake --preset "$preset" -Wno-dev >/dev/null || return
  cmake --build --preset "$preset" -j "$(nproc)" ${1:+--target "$@"}
}

# sanitized PRESET TEST...: builds the tests and runs each as a whole.
sanitized() {
  local preset=$1 name code=0
  shift
  build "$preset" "$@" || return
  for name in "$@"; do
    timeout 600 "build/$preset/bin/$name" --gtest_brief=1 "--gtest_filter=-$sanitizer_owns" || {
      echo "$preset: $name failed" >&2
      code=1
    }
  done
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
if [ "$quick" = no ]; then
  stage "lint" tests/lint.sh "${lint[@]}" build/release
  export ASAN_OPTIONS=detect_stack_use_after_return=1 UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1
  stage "address and undefined-behaviour sanitizers" sanitized asan "${asan_tests[@]}"
  stage "thread sanitizer" sanitized tsan "${tsan_tests[@]}"
  unset ASAN_OPTIONS UBSAN_OPTIONS
fi
stage "tree unchanged by the build" unchanged
printf '\n== tests\n'
ctest --preset release -j "$(nproc)" --no-tests=error || failed+=(tests)
unchanged || failed+=("tree unchanged by the tests")
if [ ${#failed[@]} -ne 0 ]; then
  printf 'failed: %s\n' "${failed[@]}" >&2
  exit 1
fi
