#!/bin/sh
# Makes the Debian package of a build and shows that it installs, works and leaves nothing behind: in a minimal Debian
# 12 made with debootstrap. Needs root.
#   scripts/test-deb.sh [BUILD-FOLDER]      default: build/release
set -eu
cd "$(dirname "$0")/.."
build=${1-build/release}
scripts/install-deps.sh bare
[ "$(id -u)" -eq 0 ] || { echo "test-deb.sh: debootstrap and chroot need root" >&2; exit 1; }

rm -rf "$build"/agave_*.deb
(cd "$build" && cpack -G DEB >package.log) || { cat "$build/package.log" >&2; exit 1; }
package=$(ls "$build"/agave_*.deb)
dpkg-deb --info "$package"
dpkg-deb --contents "$package"

root=$(mktemp -d)
clean_up() {
    if mountpoint -q "$root/proc"; then umount "$root/proc" || return; fi
    rm -rf --one-file-system "$root"
}
trap clean_up EXIT
trap 'exit 130' INT TERM
mirror=$(apt-get indextargets --format '$(ORIGIN) $(REPO_URI) $(CODENAME)' 'Created-By: Packages' |
    awk '$1 == "Debian" && $3 == "bookworm" {print $2; exit}')
debootstrap --variant=minbase bookworm "$root" "$mirror" >"$build/debootstrap.log" 2>&1 ||
    { tail -n 20 "$build/debootstrap.log" >&2; exit 1; }
mount -t proc proc "$root/proc"
cp "$package" "$root/agave.deb"
cp tests/data/models/chat.gguf "$root/model.gguf"

inside() {
    env -i HOME=/root PATH=/usr/sbin:/usr/bin:/sbin:/bin chroot "$root" "$@"
}
files() {
    (cd "$root" && find . -xdev \( -path ./proc -o -path ./var/log -o -path ./var/lib/dpkg -o -path ./var/cache \) -prune -o -print) | sort
}
files >"$build/files-before"
inside dpkg -i /agave.deb
inside agave --version
inside agave run /model.gguf hello -n 4 --threads 1
inside agave doctor || [ $? -eq 1 ]    # no libcurl here
# minbase leaves manual pages and such out only where dpkg is told to.
for file in bin/agave share/man/man1/agave.1.gz share/bash-completion/completions/agave \
    share/zsh/vendor-completions/_agave share/fish/vendor_completions.d/agave.fish share/doc/agave/copyright; do
    [ -s "$root/usr/$file" ] || { echo "test-deb.sh: /usr/$file is not there" >&2; exit 1; }
done
inside dpkg --purge agave
files >"$build/files-after"
diff "$build/files-before" "$build/files-after" || { echo "test-deb.sh: removal left files" >&2; exit 1; }
echo "test-deb.sh: $package installs, works and is removed without a trace"
