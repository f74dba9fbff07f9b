#!/bin/bash
# Looks at the sources: format, every source with clang's warnings, structure, clang-tidy. Needs a built
# tree, whose generated headers and compile commands it reads.
#
#   tests/lint.sh [--all] [--compiled CLANG_BUILD_DIRECTORY] [BUILD_DIRECTORY]
#
# --compiled  a build of the same sources with clang, as the preset asan makes one: what clang has compiled
#             there, with the same warnings as errors, it need not parse again
#
# clang only parses (-fsyntax-only), with the flags of the build; CLANG names another one than clang++,
# as in CLANG=clang++-16. clang-tidy takes ten seconds and more for a source, twice that where gRPC is
# included. So without --all it reads a subset: what decides about events, and what other teams copy.
#
# Runs every check, whatever the others find, and then names those that failed; exit 1 if any did.
set -uo pipefail
cd "$(dirname "$0")/.." || exit 1

folders=(examples host/base host/engine host/ring plugins)
if [ "${1-}" = --all ]; then
  folders=(examples host plugins tests)
  shift
fi
compiled=
if [ "${1-}" = --compiled ]; then
  compiled=${2?--compiled: wanted a build directory}
  shift 2
fi
readonly compiled build=${1-build/release}
root=$PWD
export root
export CLANG=${CLANG-clang++}

failed=()
# check NAME WHERE COMMAND...: a command that finds nothing makes the check clean in WHERE.
check() {
  local name=$1 where=$2
  shift 2
  if "$@"; then
    echo "$name: clean in $where"
  else
    failed+=("$name")
  fi
}

format() {
  git ls-files -z '*.cc' '*.h' '*.hpp' '*.c' | xargs -0 clang-format --dry-run --Werror
}
check clang-format "all sources" format

# clang does not know every option that gcc was called with.
readonly commands=$build/lint
mkdir -p "$commands"
sed 's/ -fno-gnu-unique//g; s/ -Wno-restrict//g' "$build/compile_commands.json" \
  >"$commands/compile_commands.json" || {
  echo "$build: found no compile commands, wanted a configured build" >&2
  exit 1
}

# Of each source that --compiled leaves out, what its command has; an object lies at the same place in every
# build. A source that clang refused left none.
if [ -n "$compiled" ]; then
  grep -qs '^CMAKE_CXX_COMPILER:.*clang' "$compiled/CMakeCache.txt" || {
    echo "$compiled: found no build with clang, wanted one" >&2
    exit 1
  }
  (cd "$compiled" && find . -name '*.o' -printf ' -o %P -c \n')
fi >"$commands/compiled"

# One line of shell for each other source of ours: the build's own command, with clang, for nothing but what
# the compiler has to say. Generated sources lie in the build directory.
syntax_commands() {
  sed -nE 's/^ *"command": "(.*)",?$/\1/p' "$commands/compile_commands.json" |
    grep -vFf "$commands/compiled" | sed -E '
    s/\\(.)/\1/g
    s#^([^ ]*/ccache )?[^ ]*(c\+\+|g\+\+)[^ ]* #$CLANG #
    s#^([^ ]*/ccache )?[^ ]*(cc|gcc)[^ ]* #${CLANG/++/} #
    s# -o [^ ]+ -c # -Wthread-safety -fsyntax-only #' | grep -v -- " -fsyntax-only $(realpath "$build")/" || true
}

# Relative paths in a command count from the build directory.
check_syntax() {
  (cd "$0" && eval "$1") || {
    echo "$CLANG: ${1##* -fsyntax-only "$root"/}" >&2
    return 1
  }
}
export -f check_syntax
syntax_commands >"$commands/syntax"

# Most of what clang reads of a source is the library that it is written on, so clang reads that once. The
# build of a release has no such thing, and finds a source that includes too little. A precompiled header is
# for the options that it was made with, of which the model of threads differs: what stands over gRPC has
# another one. What a target defines itself comes on top.
#
# precompile NAME WANTED UNWANTED HEADER...: for the commands that match WANTED and not UNWANTED.
precompile() {
  local header=$(realpath "$commands")/$1.h wanted=$2 unwanted=$3 options
  shift 3
  grep -E -- "$wanted" "$commands/syntax" | grep -v -- "$unwanted" >"$commands/common" || return 0
  options=$(sed -E 's/ -fsyntax-only .*//
    s/ -D(NDEBUG|GTEST_)/ -@\1/g; s/ -D[^ ]*//g; s/ -@/ -D/g; q' "$commands/common")
  printf '#include <%s>\n' "$@" >"$header"
  eval "$options -x c++-header -o '$header.pch' '$header'" || return
  grep -vxFf "$commands/common" "$commands/syntax" >"$commands/others"
  sed "s# -fsyntax-only # -include-pch '$header.pch'&#" "$commands/common" |
    cat - "$commands/others" >"$commands/syntax"
}
precompile_common() {
  local threads=' -pthread ' none=' -include-pch ' standard=(algorithm atomic chrono condition_variable deque
    filesystem functional map memory mutex optional set span string string_view thread unordered_map utility
    variant vector)
  local tests=(gmock/gmock.h gtest/gtest.h)
  precompile tests ' -O1 .* -fsyntax-only [^ ]*/tests/' "$threads" "${tests[@]}" &&
    precompile host ' -fPIC .* -fsyntax-only [^ ]*/host/.*\.cc$' "$threads" "${standard[@]}" &&
    precompile grpc_tests "$threads.* -fsyntax-only [^ ]*/tests/.*_test\.cc\$" "$none" \
      grpcpp/grpcpp.h "${tests[@]}" &&
    precompile grpc_host "$threads.* -fsyntax-only [^ ]*/host/.*\.cc\$" "$none" grpcpp/grpcpp.h
}
check "precompiled headers" "what many sources include" precompile_common
syntax() {
  [ -s "$commands/syntax" ] || {
    echo "$build/compile_commands.json: found no command to try with $CLANG" >&2
    return 1
  }
  tr '\n' '\0' <"$commands/syntax" |
    xargs -0 -n 1 -P "$(nproc)" bash -c 'check_syntax "$1"' "$build"
}
check "$CLANG" "$(wc -l <"$commands/syntax") sources${compiled:+ that $compiled has not compiled}" syntax

# Without the flag, or with words that mean nothing, every use of what a lock guards would pass.
unguarded_is_refused() {
  ! "$CLANG" -std=c++20 -I. -x c++ -Wthread-safety -Werror -fsyntax-only - 2>/dev/null <<'EOF' || {
#include "host/base/mutex.h"
struct Guarded {
  int Get() { return number; }
  catchup::Mutex mutex;
  int number CATCHUP_GUARDED_BY(mutex) = 0;
};
EOF
    echo "$CLANG: found an unguarded use accepted, wanted it refused (host/base/mutex.h)" >&2
    return 1
  }
}
check "lock annotations" "what a lock guards" unguarded_is_refused

check structure "all sources" tests/structure.sh

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
tidy_folders() {
  git ls-files -z -- "${folders[@]/%//*.cc}" "${folders[@]/%//*.c}" |
    xargs -0 -n 1 -P "$(nproc)" bash -c 'tidy "$0"'
}
check clang-tidy "${folders[*]}" tidy_folders

if [ ${#failed[@]} -ne 0 ]; then
  printf 'lint: failed: %s\n' "${failed[@]}" >&2
  exit 1
fi
