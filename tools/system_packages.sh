#!/bin/sh
# Installs Debian packages that the Makefile needs, if they are missing and this is root; else says what is missing and why.
#
#   tools/system_packages.sh venv   what `python3 -m venv` needs           exit 1 if it stays missing
#   tools/system_packages.sh test   cross compilers and emulators          exit 0 whatever is missing, except with CI set
#   tools/system_packages.sh assurance   analysers of make assurance       exit 0 whatever is missing: their goals say so
set -eu

PYTHON=${PYTHON:-python3}

# package: what the tests use it for
test_packages() {
    cat <<'END'
gcc: the generated C on the host
g++: the generated header as C++, and cycles of RV32 cores
clang: the generated C on the host, its own warnings and sanitizers
lld: the network in its report, as WebAssembly
cargo: the network as a crate of Rust
frama-c-base: a proof that a step of the generated C has no undefined behaviour
cppcheck: what analysers find in the generated C, MISRA C's rules
cmake: packages laid out for CMake, Zephyr and ESP-IDF
chromium: the report, as a browser shows it
strace: that nothing leaves the machine
gcc-arm-none-eabi: Cortex-M
libnewlib-arm-none-eabi: Cortex-M
qemu-system-arm: Cortex-M
gcc-riscv64-unknown-elf: RV32
picolibc-riscv64-unknown-elf: RV32
qemu-system-misc: RV32 and Xtensa
gcc-xtensa-lx106: Xtensa
gcc-avr: AVR
avr-libc: AVR
verilator: cycles of RV32 cores
make: cycles of RV32 cores
arduino-builder: sketches of Arduino
arduino-core-avr: sketches of Arduino
nodejs: the network as a module of WebAssembly
simavr: AVR
libsimavr-dev: AVR
libelf-dev: AVR
gcc-aarch64-linux-gnu: AArch64
libc6-dev-arm64-cross: AArch64
qemu-user: AArch64
gcc-powerpc-linux-gnu: big-endian
libc6-dev-powerpc-cross: big-endian
qemu-user-static: big-endian
END
}

# What goals of assurance/ need beside the tests' packages; 0.9 GB.
assurance_packages() {
    cat <<'END'
clang-tidy: what clang's analyser finds in the generated C
clang-19: coverage of conditions (MC/DC)
llvm-19: coverage of conditions (MC/DC)
libclang-rt-19-dev: coverage of conditions (MC/DC)
END
}

# clang's sanitizers are in a package named after its version, which differs between releases of Debian.
clang_runtime() {
    version=$(apt-cache depends clang 2>/dev/null | sed -n 's/.*Depends: clang-\([0-9]*\)$/\1/p' | head -n 1)
    [ -z "$version" ] || echo "libclang-rt-$version-dev: sanitizers of clang"
}

is_installed() {
    [ "$(dpkg-query -W -f='${db:Status-Status}' "$1" 2>/dev/null)" = installed ]
}

# Lines "package: purpose" in, those not installed out.
missing_of() {
    while IFS= read -r line; do
        is_installed "${line%%:*}" || printf '%s\n' "$line"
    done
}

names() {
    cut -d: -f1
}

apt_install() {
    echo "installing system packages: $*"
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" >/dev/null
}

can_install() {
    [ "$(id -u)" -eq 0 ] && command -v apt-get >/dev/null
}

venv() {
    if "$PYTHON" -c 'import sys; sys.exit(sys.version_info < (3, 10))'; then :; else
        echo "rnnc needs Python 3.10 or later; name one with: make PYTHON=python3.12" >&2
        exit 1
    fi
    has_venv() { "$PYTHON" -c 'import ensurepip, venv' 2>/dev/null; }
    has_venv && return
    if can_install; then
        apt-get update -qq && apt_install python3-venv || true
    fi
    has_venv && return
    echo "$PYTHON cannot make virtual environments; on Debian: apt-get install python3-venv" >&2
    exit 1
}

test_tools() {
    if ! command -v dpkg-query >/dev/null; then
        echo "not a Debian system: tests whose compiler or emulator is missing are skipped, by name"
        return
    fi
    missing=$( (test_packages; clang_runtime) | missing_of)
    [ -n "$missing" ] || return 0
    if can_install; then
        apt-get update -qq || true
        missing=$( (test_packages; clang_runtime) | missing_of)
        # shellcheck disable=SC2046  # one word a package
        apt_install $(printf '%s\n' "$missing" | names) || one_by_one "$missing"
        missing=$(printf '%s\n' "$missing" | missing_of)
    fi
    [ -n "$missing" ] || return 0
    echo "not installed, so the tests that need them are skipped, by name:"
    printf '%s\n' "$missing" | sed 's/^/  /'
    can_install || echo "as root, make test installs them"
    [ -z "${CI:-}" ] || { echo "CI is set: missing tools are failures" >&2; exit 1; }
}

assurance_tools() {
    command -v dpkg-query >/dev/null || return 0
    missing=$(assurance_packages | missing_of)
    [ -n "$missing" ] || return 0
    if can_install; then
        apt-get update -qq || true
        one_by_one "$missing"
        missing=$(printf '%s\n' "$missing" | missing_of)
    fi
    [ -z "$missing" ] || { echo "not installed, so their goals are not run:"; printf '%s\n' "$missing" | sed 's/^/  /'; }
}

# When one package is not to be had, the others are still wanted.
one_by_one() {
    for package in $(printf '%s\n' "$1" | names); do
        apt_install "$package" || true
    done
}

case ${1:-} in
    venv) venv ;;
    test) test_tools ;;
    assurance) assurance_tools ;;
    *) sed -n '2,7s/^# \{0,1\}//p' "$0" >&2; exit 2 ;;
esac
