#!/bin/bash
# Looks at the shape of the sources, by their text alone:
#
#   layers      host/ includes only what lies below it; plugins/, examples/ and sdk/ nothing of host/
#   functions   none is longer than a screen
#   types       no two of host/ have one name in one namespace
#   transport   gRPC shows in host/source alone
#   text        {fmt} stays out of what the runner is made of, and out of every header
#   locks       all of host/ are of host/base/mutex.h, where clang checks their use
#   unused      what a header of host/ declares has a use somewhere in the tree
#
#   tests/structure.sh
set -euo pipefail
cd "$(dirname "$0")/.."

# Each folder of host/ and what it may include besides itself.
readonly host_layers='
base:
config: base
ring: base
runner: base ring
plugins: base ring
source: base
engine: base
store: base
daemon: base config ring plugins source engine store
admin: base config engine store daemon
cli: base config ring plugins source engine store daemon admin
'

# The same within the daemon, with the host itself on top. The sides of a group (source, runner, store, letters) do not
# know each other.
readonly daemon_layers='
threads:
text:
dispatch:
source: threads
runner: threads text dispatch
store: threads text
letters: threads text
orders: threads text source letters
group: threads text dispatch source runner store letters orders
watch: threads source group
'

# The same within the embedded log; its server lies on top.
readonly embedded_layers='
log:
wire: log
calls: log wire
'

check_layers() {
  check_includes host/ "$host_layers" host plugins examples sdk &&
    check_folders host/daemon "$daemon_layers" &&
    check_folders host/source/embedded "$embedded_layers"
}

# check_folders ROOT LAYERS: the folders of ROOT; a file that lies in none may include all of them.
check_folders() {
  local folders=("$1"/*/)
  check_includes "$1/" "$2" "${folders[@]}"
}

# check_includes ROOT LAYERS PATH...: what the files of PATH include of host/ and tests/.
check_includes() {
  local root=$1 layers=$2
  shift 2
  git grep -nE '^#include "(host|tests)/' -- "$@" | awk -v root="$root" -v layers="$layers" '
    BEGIN {
      count = split(layers, lines, "\n")
      for (i = 1; i <= count; ++i) {
        split(lines[i], sides, ":")
        words = split(sides[2], may, " ")
        for (j = 1; j <= words; ++j) allowed[sides[1], may[j]] = 1
        known[sides[1]] = 1
      }
    }
    {
      split($0, at, ":")
      match($0, /"[^"]*"/)
      file = substr($0, RSTART + 1, RLENGTH - 2)
      from = index(at[1], root) == 1 ? substr(at[1], length(root) + 1) : "?"
      to = index(file, root) == 1 ? substr(file, length(root) + 1) : "?"
      sub(/\/.*/, "", from)
      sub(/\/.*/, "", to)
      below = root != "host/" && to == "?" && index(file, "host/") == 1
      if (!below && !(from in known && (from == to || (from, to) in allowed))) {
        print at[1] ":" at[2] ": includes " file ", which does not lie below it"
        bad = 1
      }
    }
    END { exit bad }'
}

readonly longest=70

# In formatted sources a block ends with a brace below the first letter of what it began with. A
# function is a block in a file's or a class's own scope that is none of the words below.
check_functions() {
  git ls-files '*.cc' '*.h' '*.hpp' '*.c' | xargs awk -v longest="$longest" '
    FNR == 1 { depth = 0; start = 0 }
    /^ *(\/\/|\/\*|\*|#)/ || /^$/ { start = 0; next }
    {
      if (!start) { start = FNR; first = $0 }
      match(first, /^ */)
      indent = RLENGTH
    }
    /^ *\}/ {
      match($0, /^ */)
      while (depth > 0 && indents[depth] > RLENGTH) --depth
      if (depth > 0 && indents[depth] == RLENGTH) {
        size = FNR - begins[depth] + 1
        if (kinds[depth] == "function" && size > longest) {
          print FILENAME ":" begins[depth] ": " size " lines, wanted at most " longest
          bad = 1
        }
        --depth
      }
    }
    /\{$/ {
      outer = depth > 0 ? kinds[depth] : "scope"
      if (first ~ /^ *(namespace|extern) /) kind = "scope"
      else if (first ~ /^ *(template.*|typedef )?(class|struct|union)[ :]/ && first !~ /\) *(const)? *\{$/) kind = "scope"
      else if (outer == "scope" && first ~ /\(/ && first !~ /^ *(enum|TEST|TEST_F|TEST_P|else|INSTANTIATE_TEST_SUITE_P|\}|constexpr [^(]* = |const [^(]* = |static [^(]* = )/ && $0 !~ /= \{$/) kind = "function"
      else kind = "block"
      ++depth
      kinds[depth] = kind
      begins[depth] = start
      indents[depth] = indent
    }
    /[;{}:]$/ || /[;{}] *\/\// { start = 0 }
    END { exit bad }'
}

# Two programs are made of host/, so a linker does not see all of it, and where it does, it takes one
# of two types of a name without a word. What has no name outside its file may have any. In formatted
# sources a type of a namespace begins its line; the last word before what it is made of is its name.
check_types() {
  git ls-files 'host/*.h' 'host/*.cc' | xargs awk '
    FNR == 1 { depth = 0 }
    /^namespace .*\{$/ { scopes[++depth] = $2 == "{" ? "(" FILENAME ")" : $2 }
    /^\}  \/\/ namespace/ { --depth }
    /^using [A-Za-z0-9_]+ =/ || (/^(class|struct|union|enum) / && (!/;$/ || /\{/)) {
      head = $0
      sub(/ [:={].*| final .*/, "", head)
      sub(/.* /, "", head)
      name = ""
      for (i = 1; i <= depth; ++i) name = name scopes[i] "::"
      name = name head
      if (name in where) {
        print FILENAME ":" FNR ": " name " is a type of " where[name] ", too"
        bad = 1
      }
      where[name] = FILENAME ":" FNR
      ++types
    }
    END {
      if (types == 0) print "found no type in host/, wanted what it is made of"
      exit bad || types == 0
    }'
}

# The runner links no library of that kind, and a header would pass the include on to them. The log,
# which the runner does without, formats by spdlog.
check_text() {
  local found=0
  git grep -nE '^ *# *include *[<"](fmt|spdlog)/' -- 'host/*.h' 'host/base/*.cc' 'host/ring/*.cc' \
    'host/runner/*.cc' ':!host/base/log*.cc' | sed 's/$/: wanted StrCat, of host\/base\/str_cat.h/' || found=$?
  # git grep: 0 with lines, 1 without, more when it failed.
  [ $found -eq 1 ]
}

check_transport() {
  local found=0
  git grep -nE '^ *# *include *<grpc' -- host ':!host/source' |
    sed 's/$/: wanted what host\/source makes of it/' || found=$?
  [ $found -eq 1 ]
}

check_locks() {
  local found=0
  git grep -nE '^ *# *include *<(mutex|shared_mutex|condition_variable)>|std::(mutex|[a-z]+_mutex|lock_guard|unique_lock|scoped_lock|condition_variable)' \
    -- host ':!host/base/mutex.h' | sed 's/$/: wanted Mutex, MutexLock, CondVar, of host\/base\/mutex.h/' || found=$?
  [ $found -eq 1 ]
}

# A name counts once where it is declared and once where it is defined; what is over is a use. Names
# that are the same in two classes hide each other, so this finds not all.
check_unused() {
  git ls-files 'host/*.h' 'host/*.cc' 'tests/*.h' 'tests/*.cc' 'plugins/*.cc' | xargs awk '
    { sub(/\/\/.*/, "") }
    /^#define/ { sub(/^#define +[A-Za-z_]+/, "") }
    FILENAME ~ /^host\/.*\.h$/ && match($0, /[A-Z][A-Za-z0-9]*[a-z][A-Za-z0-9]*\(/) {
      name = substr($0, RSTART, RLENGTH - 1)
      if (!(name in where)) where[name] = FILENAME ":" FNR
    }
    FILENAME ~ /^host\/.*\.h$/ && match($0, /[ (]k[A-Z][A-Za-z0-9]*[ ,;{=]/) {
      name = substr($0, RSTART + 1, RLENGTH - 2)
      if (!(name in where)) where[name] = FILENAME ":" FNR
    }
    FILENAME ~ /^host\/.*\.h$/ && match($0, /[a-z0-9_]+_( = .*|\{.*)?;$/) {
      name = substr($0, RSTART, RLENGTH)
      sub(/[^a-z0-9_].*/, "", name)
      if (!(name in where)) where[name] = FILENAME ":" FNR
    }
    {
      line = $0
      while (match(line, /[A-Za-z_][A-Za-z0-9_]*/)) {
        name = substr(line, RSTART, RLENGTH)
        ++count[name]
        if (substr(line, RSTART - 2 > 0 ? RSTART - 2 : 1, 2) == "::" &&
            substr(line, RSTART + RLENGTH, 1) == "(" && FILENAME ~ /^host\/.*\.cc$/ &&
            $0 !~ /^ /) {
          ++defined[name]
        }
        line = substr(line, RSTART + RLENGTH)
      }
    }
    END {
      for (name in where) {
        if (count[name] - (defined[name] > 0) <= 1) {
          print where[name] ": " name " is used by nobody"
          bad = 1
        }
      }
      exit bad
    }'
}

failed=0
for part in layers functions types transport text locks unused; do
  if "check_$part" >&2; then
    echo "$part: clean"
  else
    failed=1
  fi
done
exit $failed
