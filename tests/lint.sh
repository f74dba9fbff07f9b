#!/bin/bash
# Looks at the sources: format, then clang-tidy. Needs a built tree, whose generated headers and
# compile commands it reads.
#
#   tests/lint.sh [--all] [BUILD_DIRECTORY]
#
# clang-tidy takes ten seconds and more for a source, twice that where gRPC is included. So without
# --all it reads a subset: what decides about events, and what other teams copy.
set -euo pipefail
cd "$(dirname "$0")/.."

folders=(examples host/base host/engine host/ring plugins)
if [ "${1-}" = --all ]; then
  folders=(examples host plugins tests)
  shift
fi
readonly build=${1-build/release}

git ls-files -z '*.cc' '*.h' '*.hpp' '*.c' | xargs -0 clang-format --dry-run --Werror
echo "clang-format: clean"

# clang does not know every option that gcc was called with.
readonly commands=$build/lint
mkdir -p "$commands"
sed 's/ -fno-gnu-unique//g' "$build/compile_commands.json" >"$commands/compile_commands.json"

# Only files of the build can be checked, and some are compiled on purpose by nobody.
tidy() {
  grep -q "\"file\": \".*/$1\"" "$commands/compile_commands.json" || return 0
  clang-tidy --quiet -p "$commands" "$1" 2>/dev/null || {
    echo "clang-tidy: $1" >&2
    return 1
  }
}
export -f tidy
export commands
git ls-files -z -- "${folders[@]/%//*.cc}" "${folders[@]/%//*.c}" |
  xargs -0 -n 1 -P "$(nproc)" bash -c 'tidy "$0"'
echo "clang-tidy: clean in ${folders[*]}"
