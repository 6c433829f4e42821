#!/bin/sh
# Checks /metrics of a running `agave serve` with promtool (Debian: apt-get install prometheus).
#   tools/server/check_metrics.sh [URL]     default: http://127.0.0.1:8080/metrics
set -eu
url=${1-http://127.0.0.1:8080/metrics}
command -v promtool >/dev/null || { echo "check_metrics.sh: promtool is not here; apt-get install prometheus" >&2; exit 2; }
text=$(curl -fsS "$url")
printf '%s\n' "$text" | promtool check metrics
echo "$(printf '%s\n' "$text" | grep -c '^# TYPE') metrics, and promtool has nothing to say"
