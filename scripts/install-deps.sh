#!/bin/sh
# Installs the Debian packages that a task needs and that are missing; says what it installs, and says
# nothing when all is there.
#   scripts/install-deps.sh build|model|format|fuzz|arm|bare ...
# `build` is the compiler, the build tools and GoogleTest; the other groups are for one script each.
set -eu

packages_of() {
    case $1 in
        build) echo g++ cmake ninja-build rapidjson-dev libhttp-parser-dev libgtest-dev libcurl4 python3 ;;
        model) echo python3 python3-pip ca-certificates ;;
        format) echo clang-format-19 ;;
        fuzz) echo clang-19 libclang-rt-19-dev cmake ninja-build rapidjson-dev libhttp-parser-dev ;;
        arm) echo clang-19 lld-19 cmake ninja-build rapidjson-dev qemu-user-static googletest \
            libstdc++-12-dev-arm64-cross libc6-dev-arm64-cross ;;
        peers) echo g++ cmake ninja-build python3 python3-venv python3-dev ca-certificates ;;
        bare) echo debootstrap git ca-certificates ;;
        *) echo "install-deps.sh: unknown group '$1'" >&2; exit 2 ;;
    esac
}

# Whether the thing that we need from a package is there, wherever it came from.
have() {
    case $1 in
        g++ | cmake | python3 | git | debootstrap | clang-format-19) command -v "$1" >/dev/null ;;
        ninja-build) command -v ninja >/dev/null ;;
        clang-19) command -v clang++-19 >/dev/null ;;
        lld-19) command -v ld.lld-19 >/dev/null ;;
        qemu-user-static) command -v qemu-aarch64-static >/dev/null ;;
        python3-pip) python3 -m pip --version >/dev/null 2>&1 ;;
        python3-venv) python3 -c 'import ensurepip' >/dev/null 2>&1 ;;
        rapidjson-dev) [ -f /usr/include/rapidjson/document.h ] || [ -f /usr/local/include/rapidjson/document.h ] ;;
        libhttp-parser-dev) [ -f /usr/include/http_parser.h ] || [ -f /usr/local/include/http_parser.h ] ;;
        libgtest-dev) [ -f /usr/include/gtest/gtest.h ] || [ -f /usr/local/include/gtest/gtest.h ] ;;
        googletest) [ -f /usr/src/googletest/CMakeLists.txt ] ;;
        ca-certificates) [ -s /etc/ssl/certs/ca-certificates.crt ] || [ -s /etc/pki/tls/certs/ca-bundle.crt ] ;;
        *) [ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = installed ] ;;
    esac
}

missing=
for group in "$@"; do
    packages=$(packages_of "$group")
    for package in $packages; do
        case " $missing " in *" $package "*) continue ;; esac
        have "$package" || missing="$missing $package"
    done
done
missing=${missing# }
[ -n "$missing" ] || exit 0

if ! command -v apt-get >/dev/null; then
    echo "install-deps.sh: not found here: $missing (names of Debian packages); please install them" >&2
    exit 1
fi
as_root=
if [ "$(id -u)" -ne 0 ]; then
    if ! command -v sudo >/dev/null; then
        echo "install-deps.sh: not found here: $missing; run as root: apt-get install $missing" >&2
        exit 1
    fi
    as_root=sudo
fi

echo "installing: $missing" >&2
log=$(mktemp)
trap 'rm -f "$log"' EXIT
install() {
    # shellcheck disable=SC2086
    $as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends $missing
}
# The lists may be missing or stale, so a first failure is worth one update.
if ! install >"$log" 2>&1 && ! { $as_root apt-get update -q && install; } >"$log" 2>&1; then
    tail -n 25 "$log" >&2
    echo "install-deps.sh: apt-get could not install: $missing" >&2
    exit 1
fi
