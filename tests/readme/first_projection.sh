#!/bin/bash
# Does what the README's section about a first projection says, with its own files, and compares what
# the commands print.
#
#   first_projection.sh README.md BUILD_DIRECTORY WORK_DIRECTORY
set -euo pipefail
umask 002  # of users who have a group of their own: the harder case
readme=$(realpath "$1")
build=$(realpath "$2")
rm -rf "$3"
mkdir -p "$3/project"
work=$(realpath "$3")

# block KIND NAME: the fenced block below the comment <!-- KIND: NAME -->; there must be one.
block() {
  awk -v mark="<!-- $1: $2 -->" '
    $0 == mark { marked = 1; next }
    marked && /^```/ { if (inside) { found = 1; exit } inside = 1; next }
    inside { print }
    END { exit !found }' "$readme" || {
    echo "README.md: found no block \"$1: $2\"" >&2
    return 1
  }
}

cmake --install "$build" --prefix "$work/prefix" >/dev/null
for file in bin/catchup libexec/catchup/catchup-runner lib/catchup/plugins/jsonl.so \
  include/catchup/plugin.h lib/cmake/CatchupSdk/CatchupSdkConfig.cmake; do
  [ -e "$work/prefix/$file" ] || {
    echo "installed: found no $file" >&2
    exit 1
  }
done
PATH=$work/prefix/bin:$PATH

cd "$work/project"
for name in stock.cc CMakeLists.txt events.jsonl host.toml stock_test.cc; do
  block file "$name" >"$name"
done
# prepare NAME: a script of the README's commands, for the prefix that is installed here, whatever
# characters its path has.
prefix=$(printf %q "$work/prefix" | sed 's/[\\&#]/\\&/g')
prepare() {
  echo 'cmake() { command cmake "$@" >&2; }'  # what it says differs from machine to machine
  block commands "$1" | sed "s#/usr/local#$prefix#"
}
for name in try run; do
  prepare "$name" >"$work/$name.sh"
  bash -eu "$work/$name.sh" >"$work/$name.out"
  diff -u --label README --label found <(block output "$name") "$work/$name.out"
done
prepare test >"$work/test.sh"
bash -eu "$work/test.sh"
echo "the README's commands do what it says"
