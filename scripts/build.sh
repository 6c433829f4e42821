#!/bin/sh
# Configures a preset (again when the presets changed) and builds targets of it (all of them when none is named). Quiet when everything
# is up to date.
#   scripts/build.sh PRESET [TARGET...]
set -eu
cd "$(dirname "$0")/.."
preset=$1
shift
folder=build/$preset

if [ ! -f "$folder/build.ninja" ] || [ CMakePresets.json -nt "$folder/configure.log" ]; then
    echo "configuring $folder" >&2
    mkdir -p "$folder"
    if ! cmake --preset "$preset" >"$folder/configure.log" 2>&1; then
        cat "$folder/configure.log" >&2
        rm -f "$folder/CMakeCache.txt"
        exit 1
    fi
fi
if ninja -C "$folder" -n "$@" | grep -q 'no work to do'; then
    exit 0
fi
echo "building $folder" >&2
exec ninja -C "$folder" "$@" >&2
