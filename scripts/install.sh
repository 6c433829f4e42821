#!/bin/sh
# Installs agave from a release, or takes it away again.
#   install.sh [--prefix FOLDER] [--from URL] [--uninstall]
# FOLDER is ~/.local unless given. URL is a folder with agave-x86_64 and agave-aarch64 and, beside each, its SHA-256
# in a file of the same name with .sha256 behind it; AGAVE_RELEASE_URL may name it too. The program, its manual page
# and completions for bash, zsh and fish are put below FOLDER, and nothing else is touched.
set -eu

prefix=${HOME:-}/.local
url=${AGAVE_RELEASE_URL-}
uninstall=
fail() {
    echo "install.sh: $1" >&2
    exit "${2-1}"
}
while [ $# -gt 0 ]; do
    case $1 in
        --prefix) [ $# -gt 1 ] || fail "--prefix needs a folder" 2; prefix=$2; shift ;;
        --from) [ $# -gt 1 ] || fail "--from needs a URL" 2; url=$2; shift ;;
        --uninstall) uninstall=1 ;;
        *) fail "unknown option '$1'; it takes --prefix FOLDER, --from URL and --uninstall" 2 ;;
    esac
    shift
done
case $prefix in /?*) ;; *) fail "'$prefix' is no absolute folder" 2 ;; esac

program=$prefix/bin/agave
page=$prefix/share/man/man1/agave.1
bash_completion=$prefix/share/bash-completion/completions/agave
zsh_completion=$prefix/share/zsh/site-functions/_agave
fish_completion=$prefix/share/fish/vendor_completions.d/agave.fish

if [ -n "$uninstall" ]; then
    [ -e "$program" ] || fail "there is no $program"
    rm -f "$program" "$page" "$bash_completion" "$zsh_completion" "$fish_completion"
    echo "removed agave from $prefix; downloaded models stay where they are"
    exit 0
fi

[ -n "$url" ] || fail "no release is named: give --from URL" 2
[ "$(uname -s)" = Linux ] || fail "there are releases for Linux only"
case $(uname -m) in
    x86_64 | amd64) name=agave-x86_64 ;;
    aarch64 | arm64) name=agave-aarch64 ;;
    *) fail "there is no release for $(uname -m)" ;;
esac

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
trap 'exit 130' INT TERM
fetch() {
    if command -v curl >/dev/null; then
        curl -fsSL --retry 3 -o "$2" "$1"
    elif command -v wget >/dev/null; then
        wget -q -O "$2" "$1"
    else
        fail "neither curl nor wget is there"
    fi || fail "cannot fetch $1"
}
fetch "$url/$name" "$folder/agave"
fetch "$url/$name.sha256" "$folder/sum"
expected=$(cut -c 1-64 "$folder/sum" | head -n 1)
found=$(sha256sum "$folder/agave" | cut -c 1-64)
[ "$expected" = "$found" ] || fail "$name has the SHA-256 $found, but the release says $expected: nothing is installed"
chmod 755 "$folder/agave"
"$folder/agave" --version >/dev/null || fail "the program does not run on this machine: nothing is installed"

# Writes the output of a command of the program to a file below the prefix.
write() {
    file=$1
    shift
    mkdir -p "${file%/*}"
    "$folder/agave" "$@" >"$file"
}
write "$page" help --man
write "$bash_completion" completion bash
write "$zsh_completion" completion zsh
write "$fish_completion" completion fish
mkdir -p "${program%/*}"
# A program that runs at this moment keeps its file.
cp "$folder/agave" "$program.new"
mv "$program.new" "$program"
echo "installed $program ($("$program" --version))"
case :$PATH: in
    *":$prefix/bin:"*) ;;
    *) echo "$prefix/bin is not in PATH; add to ~/.profile: export PATH=\"$prefix/bin:\$PATH\"" ;;
esac
