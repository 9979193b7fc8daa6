#!/bin/bash
# Where a mounted volume's daemon spends its time: `bash bench/profile.sh SECONDS DIR`. Samples the daemon's threads with perf while
# you run a workload, and prints the hottest functions by thread.
set -euo pipefail
seconds=${1:?usage: profile.sh SECONDS DIR}
directory=${2:?usage: profile.sh SECONDS DIR}
root=$(cd "$(dirname "$0")/.." && pwd)
data=$(mktemp)
trap 'rm -f "$data"' EXIT
pid=$(node "$root/dist/tools/main.js" status "$directory" --json | node -p 'JSON.parse(require("fs").readFileSync(0, "utf8")).pid')
perf record -q -F 999 -g -p "$pid" -o "$data" -- sleep "$seconds"
perf report -i "$data" --stdio --no-children -g none --sort comm,dso,symbol 2>/dev/null | grep -v '^#' | grep -v '^$' | head -60
