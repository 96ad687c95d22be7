#!/bin/sh
# Builds a package of examples/gesture in a system whose sources are in no package registry: give the folder that holds them.
#
#   tools/real_systems.sh micropython MPY_DIR [ARCH]     a native module; with ARCH=x64 and ports/unix built, its self-test runs
#   tools/real_systems.sh zephyr ZEPHYR_BASE [BOARD]     the application that serves the network (west, and Zephyr's SDK)
#   tools/real_systems.sh esp-idf IDF_PATH [CHIP]        the project that serves the network (after IDF's install.sh)
#   tools/real_systems.sh cmsis-pack PACK.xsd            the description against the schema of Open-CMSIS-Pack (xmllint)
#
# rnnc is that of the path. What is built lies in build/real_systems.
set -eu

usage() {
    sed -n '2,9s/^# \{0,1\}//p' "$0" >&2
    exit 2
}

[ $# -ge 2 ] || usage
system=$1
given=$(readlink -f "$2")
[ -e "$given" ] || { echo "$2: no such file or folder" >&2; exit 2; }
root=$(cd "$(dirname "$0")/.." && pwd)
work=$root/build/real_systems/$system
rm -rf "$work"
mkdir -p "$work"

compiled() {
    rnnc compile "$root/examples/gesture/gesture.onnx" --calib "$root/examples/gesture/calib.npz" --no-verify \
        --package "$system" "$@" -o "$work/gesture"
}

case $system in
    micropython)
        arch=${3:-x64}
        compiled
        make -C "$work/gesture" MPY_DIR="$given" ARCH="$arch"
        unix=$(find "$given/ports/unix" -path '*/build-*/micropython' -type f 2>/dev/null | head -n 1)
        if [ "$arch" = x64 ] && [ -n "$unix" ]; then
            cd "$work/gesture" && "$unix" selftest.py | tee selftest.log && grep -qx 'gesture_selftest: 0' selftest.log
        fi
        ;;
    zephyr)
        compiled
        ZEPHYR_BASE=$given west build -b "${3:-qemu_cortex_m3}" -d "$work/build" "$work/gesture/samples/serve"
        ;;
    esp-idf)
        compiled
        # shellcheck disable=SC1091  # of the system
        . "$given/export.sh"
        cd "$work/gesture/examples/serve"
        idf.py -B "$work/build" set-target "${3:-esp32c3}" build
        ;;
    cmsis-pack)
        compiled --target cortex-m4
        xmllint --noout --schema "$given" "$work/gesture/rnnc.gesture.pdsc"
        ;;
    *) usage ;;
esac
