#!/bin/bash
# Builds catchup and runs both examples on sample events: on a bare Debian 12 machine, as root or with
# sudo, this is all there is to do. Leaves its files in build/release and build/quickstart.
set -euo pipefail
cd "$(dirname "$0")/.."
umask 022  # a plugin that others may write to is refused

readonly events=30000  # of which this many come while the host runs:
readonly live=10000
readonly work=build/quickstart
readonly config=examples/quickstart/host.toml
readonly totals=$work/state/groups/order-totals/data/totals.db
readonly counts=$work/state/groups/event-counter/data/counts.tsv
readonly catchup=build/release/bin/catchup

step() { printf '\n== %s\n' "$*"; }
fail() {
  echo "quickstart: $*" >&2
  exit 1
}

host=
end_host() {
  if [ -n "$host" ]; then
    kill -TERM "$host" 2>/dev/null || true
    wait "$host" || true
  fi
}
trap end_host EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

customers() {
  sqlite3 "$totals" "SELECT customer_id, orders, cents FROM order_totals $1"
}

step "Packages"
. examples/quickstart/debian-packages.sh
install_packages "${build_packages[@]}" sqlite3
echo "all there"

step "Build (release)"
mkdir -p build
cmake --preset release -Wno-dev >build/configure.log 2>&1 || {
  cat build/configure.log >&2
  fail "configuring failed"
}
cmake --build --preset release -j "$(nproc)" \
  --target catchup catchup-runner order_totals event_counter jsonl

step "A fresh log and a host on it"
rm -rf "$work"
mkdir -p "$work"
"$catchup" check "$config"
"$catchup" run "$config" &
host=$!
for _ in $(seq 300); do
  [ -e "$work/events/endpoint" ] && break
  kill -0 "$host" 2>/dev/null || fail "the host ended at its start"
  sleep 0.1
done
[ -e "$work/events/endpoint" ] || fail "the host has not opened its log within 30 s"

step "Append $live events while the host runs"
awk -v count="$events" -f examples/quickstart/sample_events.awk >"$work/events.jsonl"
head -n "$live" "$work/events.jsonl" >"$work/events-1.jsonl"
tail -n +$((live + 1)) "$work/events.jsonl" >"$work/events-2.jsonl"
"$catchup" append --to "embedded:$work/events" "$work/events-1.jsonl"

step "Stop the host: it drains, keeps its place and exits 0"
kill -TERM "$host"
code=0
wait "$host" || code=$?
host=
[ "$code" -eq 0 ] || fail "the host exited $code, wanted 0"

step "Append $((events - live)) more, which nobody reads yet"
"$catchup" append --to "embedded:$work/events" "$work/events-2.jsonl"

step "Run until caught up"
"$catchup" run --until-caught-up "$config"

step "Totals"
echo "events by type ($counts):"
cat "$counts"
echo "order totals ($totals), the five best customers:"
customers "ORDER BY cents DESC, customer_id LIMIT 5"
cp "$counts" "$work/counts.before"
customers "ORDER BY customer_id" >"$work/totals.before"

counted=$(awk '{ sum += $2 } END { print sum }' "$counts")
[ "$counted" -eq "$events" ] || fail "event-counter has $counted events, wanted $events"
wanted=$(awk '/"order-placed"/ { ++n } /"order-cancelled"/ { --n } END { print n }' \
  "$work/events.jsonl")
found=$(sqlite3 "$totals" "SELECT sum(orders) FROM order_totals")
[ "$found" -eq "$wanted" ] || fail "order_totals has $found orders, wanted $wanted"

step "Start once more: nothing is left to handle"
"$catchup" run --until-caught-up "$config" 2>"$work/last-run.log" || {
  cat "$work/last-run.log" >&2
  fail "the last run failed"
}
grep '"msg":"Group ended"' "$work/last-run.log"
[ "$(grep -c '"msg":"Group ended".*"processedCount":0,' "$work/last-run.log")" -eq 2 ] ||
  fail "the last run handled events again"
customers "ORDER BY customer_id" | cmp - "$work/totals.before" || fail "the order totals changed"
cmp "$counts" "$work/counts.before" || fail "the counts changed"
echo "same totals, nothing was handled twice"

step "Done: $events events, $found orders of $(wc -l <"$work/totals.before") customers"
