#!/bin/sh
# Formats every C++ file of the repository in place; with --check only says which ones differ.
set -eu
cd "$(dirname "$0")/.."
# One version, so that two people never reformat each other's lines.
formatter=clang-format-19
files=$(git ls-files -- '*.h' '*.cpp' ':!third_party')
if [ "${1-}" = --check ]; then
    # shellcheck disable=SC2086
    exec "$formatter" --dry-run -Werror $files
fi
# shellcheck disable=SC2086
exec "$formatter" -i $files
