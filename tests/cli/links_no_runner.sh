#!/bin/bash
# That the host never loads a plugin is a fact of the linker: nothing of what calls one is in it.
#
#   tests/cli/links_no_runner.sh CATCHUP CATCHUP-RUNNER
set -euo pipefail

# What maps, calls and serves a plugin.
readonly parts='catchup::(PluginLibrary|Instance|HostTable|RunLoop|RunnerEnd|Probe\()'

symbols() { nm --demangle "$1" | grep -E "$parts" || true; }

[ -n "$(symbols "$2")" ] || { echo "$2 has no symbols to compare with" >&2; exit 1; }
found=$(symbols "$1")
[ -z "$found" ] || { printf '%s links what is the runner'\''s:\n%s\n' "$1" "$found" >&2; exit 1; }
