#!/usr/bin/env bash
# tests/bench/run.sh BUILD_DIR [EVENTS] [ROUNDS]: measures catch-up and prints
# one table. Speed is judged as ratios inside one run: bare loop and host take turns.
#
#   bare loop   a grpc++ loop that only reads and parses the subscription
#   host        the same subscription through host, ring, runner and a plugin that does nothing
#   ring        ring, runner and that plugin alone
#   commits     of checkpoints, on the disk of the temporary folder
set -euo pipefail

build=${1:?usage: tests/bench/run.sh BUILD_DIR [EVENTS] [ROUNDS]}
events=${2:-1000000}
rounds=${3:-3}
bin=$(cd "$build/bin" && pwd)
work=$(mktemp -d)
server=
cleanup() {
  exec 9>&- || true
  [[ -n $server ]] && wait "$server" || true
  rm -rf "$work"
}
trap cleanup EXIT

mkfifo "$work/hold"
"$bin/serve_log" "$work/log" "$events" <"$work/hold" >"$work/address" &
server=$!
exec 9>"$work/hold"
until [[ -s $work/address ]]; do
  kill -0 "$server"
  read -r -t 0.2 <><(:) || true
done
address=$(tr -d '[:space:]' <"$work/address")

cat >"$work/host.toml" <<EOF
[source]
uri = "kurrentdb://$address?tls=false"
[state]
directory = "state"
[plugins]
directories = ["$bin"]
[log]
format = "json"
[groups.noop]
plugin = "noop_plugin.so"
projection = "batch"
prefixes = [""]
EOF

# From the subscription to caught up, by the host's own log: what comes before is the start, which a
# loop that only reads does not have.
run_host() {
  rm -rf "$work/state"
  "$bin/catchup" run "$work/host.toml" --until-caught-up 2>"$work/host.log" || {
    cat "$work/host.log" >&2
    exit 1
  }
  awk -v events="$events" '
    function seconds(line,   clock) {
      match(line, /T[0-9:.]+Z/)
      split(substr(line, RSTART + 1, RLENGTH - 2), clock, ":")
      return clock[1] * 3600 + clock[2] * 60 + clock[3]
    }
    /"msg":"Subscribing"/ { from = seconds($0) }
    /"state":"draining"/ { to = seconds($0) }
    END { printf "%d\n", events / (to - from + (to < from ? 86400 : 0)) }' "$work/host.log"
}

TIMEFORMAT='%U %S'
printf '%-8s %14s %14s %8s   %s\n' round 'bare events/s' 'host events/s' ratio 'host CPU seconds (user system)'
for ((round = 1; round <= rounds; ++round)); do
  bare=$("$bin/bare_loop" "$address" | sed -n 's/.*events\/s \([0-9]*\).*/\1/p')
  cpu=$({ time run_host >"$work/rate"; } 2>&1)
  host=$(cat "$work/rate")
  printf '%-8s %14s %14s %8s   %s\n' "$round" "$bare" "$host" \
    "$(awk -v a="$host" -v b="$bare" 'BEGIN { printf "%.2f", a / b }')" "$cpu"
done
echo
"$bin/ring_bench" "$bin/catchup-runner" "$bin/noop_plugin.so"
echo
"$bin/checkpoint_commits" "$work"
