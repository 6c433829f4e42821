#!/bin/sh
# Shows that a bare Debian 12 with only make and git runs the two commands of the README: makes a minimal
# root with debootstrap, clones the committed state of this repository into it, and runs `make run` and
# `make test` there, with their times. Needs root.
#   scripts/bare-debian.sh [FOLDER]         FOLDER is removed at the end (default: a new one under $TMPDIR)
# The root gets the package sources, certificates and proxy settings of this machine, nothing else of it.
set -eu
repository=$(cd "$(dirname "$0")/.." && pwd)
"$repository/scripts/install-deps.sh" bare
[ "$(id -u)" -eq 0 ] || { echo "bare-debian.sh: debootstrap and chroot need root" >&2; exit 1; }
root=${1-$(mktemp -d)}
mkdir -p "$root"

clean_up() {
    for mounted in "$root/proc" "$root/dev/pts" "$root/dev"; do
        if mountpoint -q "$mounted"; then umount "$mounted" || return; fi
    done
    rm -rf --one-file-system "$root"
}
trap clean_up EXIT
trap 'exit 130' INT TERM

sources=$(apt-get indextargets --format '$(ORIGIN) $(REPO_URI) $(CODENAME) $(COMPONENT)' 'Created-By: Packages' |
    awk '$1 == "Debian" && $3 ~ /^bookworm/ {print $2, $3, $4}' | sort -u)
mirror=$(printf '%s\n' "$sources" | awk '$2 == "bookworm" {print $1; exit}')
if [ -z "$mirror" ]; then
    echo "bare-debian.sh: apt knows no source of Debian 12 here; run apt-get update first" >&2
    exit 1
fi

echo "making a minimal Debian 12 in $root"
log=$(mktemp)
debootstrap --variant=minbase --include=make,git,ca-certificates bookworm "$root" "$mirror" >"$log" 2>&1 ||
    { tail -n 20 "$log" >&2; rm -f "$log"; exit 1; }
rm -f "$log"

printf '%s\n' "$sources" | awk '{print "deb", $0}' >"$root/etc/apt/sources.list"
cat /etc/apt/apt.conf /etc/apt/apt.conf.d/* 2>/dev/null | grep -E '^[[:space:]]*Acquire::' \
    >"$root/etc/apt/apt.conf.d/90host" || true
if [ -d /etc/apt/auth.conf.d ]; then cp -r /etc/apt/auth.conf.d "$root/etc/apt/"; fi
if [ -d /usr/local/share/ca-certificates ]; then
    mkdir -p "$root/usr/local/share/ca-certificates"
    cp -r /usr/local/share/ca-certificates/. "$root/usr/local/share/ca-certificates/"
fi
for file in /etc/resolv.conf /etc/hosts /etc/pip.conf; do
    if [ -f "$file" ]; then cp -L "$file" "$root$file"; fi
done
mount -t proc proc "$root/proc"
mount --bind /dev "$root/dev"
mount --bind /dev/pts "$root/dev/pts"
chroot "$root" update-ca-certificates >/dev/null 2>&1

git clone --quiet --no-hardlinks "$repository" "$root/root/agave"

# Runs a command in the clone with a clean environment but for proxies and certificates, and says how long
# it took.
inside() {
    begin=$(date +%s)
    env | grep -E '^(https?_proxy|HTTPS?_PROXY|no_proxy|NO_PROXY|PIP_INDEX_URL|PIP_EXTRA_INDEX_URL|PIP_CERT)=' \
        >"$root/root/environment" || true
    # shellcheck disable=SC2046
    env -i $(cat "$root/root/environment") HOME=/root PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
        chroot "$root" sh -c "cd /root/agave && $1"
    echo "bare-debian.sh: '$1' passed in $(($(date +%s) - begin)) s"
}
echo "packages there: $(chroot "$root" dpkg-query -f '.\n' -W | wc -l)"
inside 'make run'
inside 'make test'
inside 'make run'
