#!/bin/bash
# Shows that the simulation finds what it is there to find: each patch beside this script is a
# defect of the engine, with which the test that it names must fail; README.md says which rule each
# one breaks. Exits 1 when one survives.
#
#   tests/sim/mutants/run.sh [--some N SEED | PATCH...]   all, N that SEED chooses, or these
#   tests/sim/mutants/run.sh --check                      whether each applies and is in the table
#
# Compiles what a patch touches outside of the tree and links it before the rest of build/release:
# a few seconds for each, and up to half a minute for one that is hard to find. `sim_test` has to
# find it unless a line `Found by: TEST [ARGUMENT...]` in front of the patch names another test.
#
# A patch that does not apply or build any more is as bad as one that survives: it is to be made
# anew, by `git diff` of the same defect.
set -uo pipefail

here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../../.." && pwd)
build=$root/build/release
readonly seeds=100000
readonly limit=120  # Seconds of a processor. Some defects never come to an end, which is found too.
readonly patience=1200  # Seconds, for those that sleep.

die() {
  echo "run.sh: $1" >&2
  exit 2
}

check() {
  local bad=0 name
  cd "$root" || exit 2
  for patch in "$here"/*.patch; do
    name=$(basename "$patch" .patch)
    git apply --check "$patch" || { bad=1; echo "$name: does not apply any more" >&2; }
    grep -q "\`$name\`" "$here/README.md" || { bad=1; echo "$name: not in README.md" >&2; }
  done
  for name in $(grep '^|' "$here/README.md" | grep -o '`[a-z_]*`' | tr -d '`' | sort -u); do
    [ -f "$here/$name.patch" ] || { bad=1; echo "$name: in README.md, and no patch" >&2; }
  done
  return $bad
}

# some N SEED: the names of N patches, others for each SEED. One of a header takes half the engine
# to compile.
some() {
  for patch in "$here"/*.patch; do
    grep -q '^+++ .*\.h$' "$patch" ||
      echo "$(sha1sum <<<"$2 $(basename "$patch")" | cut -c1-16) $patch"
  done | sort | head -n "$1" | cut -d' ' -f2
}

# sources COMMANDS FILE...: the sources that are compiled with these files.
sources() {
  local commands=$1 file
  shift
  for file in "$@"; do
    case $file in
      *.cc) echo "$file" ;;
      *)
        # The objects that are made with the file, and of these the ones that the commands make.
        ninja -C "$build" -t deps |
          awk -v end="/$file" '
            /^[^ ]/ { object = substr($1, 1, length($1) - 1) }
            /^ / && substr($1, length($1) - length(end) + 1) == end { print object }' |
          sort -u >"$work/users"
        sed -n 's/.* -o \([^ ]*\) -c \([^ ]*\)$/\1 \2/p' "$commands" | sort -u |
          join - "$work/users" | cut -d' ' -f2 | sed "s|^$root/||"
        ;;
    esac
  done | sort -u
}

# mutate PATCH TEST: makes $work/TEST, with what the patch makes of its files.
mutate() {
  local patch=$1 test=$2 files line object
  rm -rf "$work/tree" "$work/objects" && mkdir -p "$work/tree" "$work/objects" || return
  mapfile -t files < <(cd "$root" && git apply --numstat "$patch" | cut -f3)
  (cd "$root" && cp --parents -t "$work/tree" "${files[@]}") || return
  (cd "$work/tree" && git apply "$patch") || return
  ninja -C "$build" -t commands "$test" >"$work/commands" || return
  local link
  link=$(grep -- " -o bin/$test " "$work/commands" | sed 's/ && cd .*//')
  cd "$build" || return
  while read -r source; do
    line=$(grep -m1 -- " -c $root/$source\$" "$work/commands") || continue  # Not of this test.
    object=$(sed 's/.* -o \([^ ]*\) .*/\1/' <<<"$line")
    local made=$work/objects/${object//\//_}
    local from=$root/$source
    [ ! -f "$work/tree/$source" ] || from=$work/tree/$source
    line=$(sed "s| -I| -w -I$work/tree -I|; s| -MD.* -o .*| -O1 -o $made -c $from|" <<<"$line")
    bash -c "$line" || return
    case $link in
      *" $object "*) link=${link/" $object "/" $made "} ;;
      *) link=${link/" -o bin/$test "/" $made -o bin/$test "} ;;
    esac
  done < <(sources "$work/commands" "${files[@]}")
  bash -c "${link/" -o bin/$test "/" -o $work/$test "}"
}

patches=("$@")
case ${1:-} in
  --check)
    check
    exit
    ;;
  --some)
    [[ "${2:-}" =~ ^[1-9][0-9]*$ && -n "${3:-}" ]] || die "--some: wanted N SEED"
    mapfile -t patches < <(some "$2" "$3")
    ;;
  "") patches=("$here"/*.patch) ;;
esac
for patch in "${patches[@]}"; do
  [ -f "$patch" ] || die "$patch: no such patch"
done
mapfile -t patches < <(realpath -- "${patches[@]}")

work=$(mktemp -d) || exit 2
trap 'rm -rf "$work"' EXIT
cmake --build "$build" -j2 --target sim_test failure_sim_test engine_test ring_test \
  >"$work/log" 2>&1 || {
  cat "$work/log" >&2
  die "the tree itself does not build"
}

bad=()
for patch in "${patches[@]}"; do
  name=$(basename "$patch" .patch)
  read -r test arguments < <(sed -n 's/^Found by: //p' "$patch")
  [ -n "${test:-}" ] || { test=sim_test && arguments="--seeds $seeds --failures 1"; }
  if ! (mutate "$patch" "$test") >"$work/log" 2>&1; then
    bad+=("$name")
    echo "DOES NOT BUILD  $name: $(grep -m1 'error' "$work/log")"
    continue
  fi
  code=0
  # shellcheck disable=SC2086 # They are words.
  {
    (
      ulimit -c 0 -t $limit
      exec timeout $patience "$work/$test" $arguments --gtest_brief=1 >"$work/log" 2>&1
    ) || code=$?
  } 2>/dev/null
  if [ $code -eq 0 ]; then
    bad+=("$name")
    echo "SURVIVES        $name"
  else
    said=$(grep -hm1 -A1 '^seed [0-9]*: \|never happened\|\[  FAILED  \]' "$work/log")
    echo "found           $name: $(tr -s '\n ' ' ' <<<"${said:-exit $code}" | cut -c1-120)"
  fi
  test=
done
if [ ${#bad[@]} -ne 0 ]; then
  echo "of ${#patches[@]} mutants these are not found: ${bad[*]}" >&2
  exit 1
fi
