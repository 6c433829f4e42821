#!/bin/sh
# Builds the fuzz targets with clang's libFuzzer and runs each on its corpus (fuzz/corpus/NAME).
#   scripts/fuzz.sh [SECONDS] [NAME...]     60 seconds each, all of them
# What a run finds new goes to build/fuzz/corpus/NAME, a crashing input to build/fuzz/crashes/; the committed
# corpus is only read. Exits 1 when a target fails.
set -eu
cd "$(dirname "$0")/.."
seconds=60
if [ $# -gt 0 ]; then
    seconds=$1
    shift
fi
case $seconds in '' | *[!0-9]*) echo "fuzz.sh: '$seconds' is not a number of seconds" >&2; exit 2 ;; esac

scripts/install-deps.sh fuzz
scripts/build.sh fuzz
if [ $# -eq 0 ]; then
    for program in build/fuzz/bin/fuzz_*; do
        [ -x "$program" ] || { echo "fuzz.sh: there is no fuzz target" >&2; exit 1; }
        set -- "$@" "${program##*/fuzz_}"
    done
fi

failed=
for name in "$@"; do
    found=build/fuzz/corpus/$name
    mkdir -p "$found" build/fuzz/crashes
    echo "fuzz_$name: $seconds s"
    log=build/fuzz/$name.log
    # The committed corpus comes second: libFuzzer writes into the first folder only.
    set -- "$found"
    [ -d "fuzz/corpus/$name" ] && set -- "$@" "fuzz/corpus/$name"
    if build/fuzz/bin/fuzz_"$name" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 \
        -artifact_prefix="build/fuzz/crashes/$name-" -print_final_stats=1 "$@" >"$log" 2>&1; then
        grep -E 'stat::number_of_executed_units|^Done' "$log" || true
    else
        tail -n 40 "$log"
        failed="$failed $name"
    fi
done
if [ -n "$failed" ]; then
    echo "fuzz.sh: failed:$failed" >&2
    exit 1
fi
