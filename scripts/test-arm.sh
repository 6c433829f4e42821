#!/bin/sh
# Builds for 64-bit ARM with clang and runs the unit tests under qemu-user, on three kinds of CPU: one with
# i8mm (max), one with dotprod (cortex-a76) and one with neither (cortex-a57).
#   scripts/test-arm.sh [NAME-PATTERN]      only the tests whose name matches
set -eu
cd "$(dirname "$0")/.."
pattern=${1-.}
scripts/install-deps.sh arm

# Debian has no GoogleTest for ARM as a binary; its sources are in the package.
gtest=build/arm64-gtest
if [ ! -f "$gtest/installed/lib/libgtest_main.a" ]; then
    cmake -S /usr/src/googletest -B "$gtest" -G Ninja -DCMAKE_BUILD_TYPE=Release -DBUILD_GMOCK=OFF \
        -DCMAKE_TOOLCHAIN_FILE="$PWD/cmake/aarch64-linux-clang.cmake" \
        -DCMAKE_INSTALL_PREFIX="$PWD/$gtest/installed" -DCMAKE_INSTALL_LIBDIR=lib >/dev/null
    ninja -C "$gtest" --quiet
    ninja -C "$gtest" --quiet install >/dev/null
fi

# Debian has no http-parser for ARM beside that of this machine, so the server is left out.
cmake -S . -B build/arm64 -G Ninja -DCMAKE_BUILD_TYPE=Release -DAGAVE_SERVER=OFF \
    -DCMAKE_TOOLCHAIN_FILE="$PWD/cmake/aarch64-linux-clang.cmake" \
    -DGTest_DIR="$PWD/$gtest/installed/lib/cmake/GTest" >/dev/null
ninja -C build/arm64

for cpu in max cortex-a76 cortex-a57; do
    echo "qemu-aarch64 -cpu $cpu"
    QEMU_CPU=$cpu ctest --test-dir build/arm64 --output-on-failure --parallel "$(nproc)" --tests-regex "$pattern" \
        --no-tests=error --timeout 1500
done
