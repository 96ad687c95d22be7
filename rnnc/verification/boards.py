"""The boards that firmware runs on: one for each target, with its compiler's flags and its emulator's command."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

Machine = Literal["cortex-m", "riscv", "xtensa", "avr", "hosted"]


@dataclass(frozen=True)
class Board:
    """A machine that runs one target's code.

    Args:
        name: the target's name (or that of a machine to prove portability on).
        machine: which start file, and which way to run.
        compiler: command of the C compiler; ``nm`` comes with it.
        flags: what selects the part.
        libraries: what links its C library.
        emulator: command line before the program.
        memory: start and length of flash and RAM, and the start of the vectors, for the linker; only lengths where the
            compiler brings its own linker script; empty where there is room for anything.
        core: whose cycles the instructions are estimated by, as verification.pipelines names it; "" for none.
        serial: flags that tell firmware/port_*.c where the serial line is, and how fast its counter counts.
        larger: a machine of the same core with more memory, for what does not fit.
        hosted_count: whether the emulator counts, though the program runs under an operating system.
    """

    name: str
    machine: Machine
    compiler: str
    flags: tuple[str, ...] = ()
    libraries: tuple[str, ...] = ()
    emulator: tuple[str, ...] = ()
    memory: dict[str, int] = field(default_factory=dict)
    core: str = ""
    serial: tuple[str, ...] = ()
    larger: Board | None = None
    hosted_count: bool = False

    @property
    def objdump(self) -> str:
        """The compiler's companion that lists instructions."""
        return self.compiler.removesuffix("gcc") + "objdump"

    @property
    def nm(self) -> str:
        """The compiler's companion that lists symbols."""
        return self.compiler.removesuffix("gcc") + "nm"

    @property
    def addr2line(self) -> str:
        """The command that says on which lines an address is."""
        return self.compiler.removesuffix("gcc") + "addr2line"

    @property
    def counts(self) -> bool:
        """Whether it is a machine of its own, whose code, stack and instructions can be counted."""
        return self.machine != "hosted"

    @property
    def instructions(self) -> bool:
        """Whether instructions can be counted on it."""
        return self.counts or self.hosted_count

    @property
    def start(self) -> str:
        """The file in firmware/ that starts it, prints and ends."""
        return f"start_{self.machine.replace('-', '_')}.c"

    @property
    def port(self) -> str:
        """The file in firmware/ with its serial line and its counter of cycles."""
        return f"port_{self.machine.replace('-', '_')}.c"

    @property
    def served(self) -> tuple[str, ...]:
        """The emulator's command line before a program that serves a network on a pseudo-terminal; () where there is none."""
        if not self.emulator or not self.counts:
            return ()
        at = self.emulator.index("-serial") + 1
        return (*self.emulator[:at], "pty", *self.emulator[at + 1 :], "-icount", f"shift={ICOUNT_SHIFT}")

    @property
    def script(self) -> str:
        """The linker script in firmware/, "" for the compiler's own."""
        return f"{self.machine.replace('-', '_')}.ld" if self.counts else ""

    @property
    def headers(self) -> str:
        """The folder in firmware/ with headers of the C library that its compiler lacks, "" where it lacks none."""
        return "xtensa" if self.machine == "xtensa" else ""

    @property
    def includes(self) -> tuple[str, ...]:
        """What names these headers to the compiler."""
        return ("-I", str(Path(__file__).parent / "firmware" / self.headers)) if self.headers else ()

    def linking(self, script: str) -> list[str]:
        """What links firmware by ``script``, the path of its linker script."""
        if self.machine == "avr":  # the console that its start file names lies in no memory
            return ["-Wl,--undefined=board_console", "-Wl,--section-start=.mmcu=0x910000", script]
        if self.machine == "hosted":
            return []
        memory = self.memory.items() if self.machine == "cortex-m" else ()
        return ["-nostartfiles", "-T", script, *(f"-Wl,--defsym={name}={value:#x}" for name, value in memory)]

    def holds(self, flash: int, ram: int) -> bool:
        """Whether its memories are larger than so many bytes."""
        return not self.memory or (flash < self.memory["FLASH_LENGTH"] and ram < self.memory["RAM_LENGTH"])


def _cortex_m(
    name: str,
    machine: str,
    fpu: str,
    flash: tuple[int, int],
    ram: tuple[int, int],
    vectors: int | None = None,
    *,
    uart: int,
    hertz: int,
    larger: Board | None = None,
) -> Board:
    """A Cortex-M in QEMU.

    Args:
        vectors: where the processor looks for them, where that is not the flash.
        uart: the address of its UART; hertz: the core's clock.
    """
    emulator = ("qemu-system-arm", "-M", machine, "-display", "none", "-monitor", "none", "-serial", "none")
    return Board(
        name,
        "cortex-m",
        "arm-none-eabi-gcc",
        (f"-mcpu={name}", "-mthumb", *(("-mfloat-abi=hard", f"-mfpu={fpu}") if fpu else ("-mfloat-abi=soft",))),
        ("--specs=nano.specs", "-lc", "-lgcc"),
        (*emulator, "-semihosting-config", "enable=on,target=native"),
        {
            "VECTORS_START": flash[0] if vectors is None else vectors,
            "FLASH_START": flash[0] + VECTORS_LENGTH,
            "FLASH_LENGTH": flash[1] - VECTORS_LENGTH,
            "RAM_START": ram[0],
            "RAM_LENGTH": ram[1],
        },
        name.replace("cortex-m", "Cortex-M"),
        (f"-DBOARD_{'NRF_' if machine == 'microbit' else ''}UART={uart:#x}u", f"-DBOARD_HERTZ={hertz}u"),
        larger,
    )


VECTORS_LENGTH = 64
ICOUNT_SHIFT = 5
"""An instruction takes 2^5 ns of QEMU's time, by which its timers count."""
_MPS2, _MPS3 = 0x40004000, 0x59303000
_KB, _MB = 1 << 10, 1 << 20
_AN = ((0, 4 * _MB), (0x20000000, 4 * _MB))
_DDR = ((0x60000000, 16 * _MB), (0x68000000, 16 * _MB), 0)
BOARDS = {
    b.name: b
    for b in (
        _cortex_m(
            "cortex-m0",
            "microbit",
            "",
            (0, 256 * _KB),
            (0x20000000, 16 * _KB),
            uart=0x40002000,
            hertz=16_000_000,
            larger=_cortex_m("cortex-m0", "mps2-an385", "", *_AN, uart=_MPS2, hertz=25_000_000),
        ),
        _cortex_m("cortex-m3", "mps2-an385", "", *_AN, uart=_MPS2, hertz=25_000_000),
        _cortex_m("cortex-m4", "mps2-an386", "fpv4-sp-d16", *_AN, uart=_MPS2, hertz=25_000_000),
        _cortex_m("cortex-m7", "mps2-an500", "fpv5-d16", *_AN, uart=_MPS2, hertz=25_000_000),
        _cortex_m(
            "cortex-m33",
            "mps2-an505",
            "fpv5-sp-d16",
            (0x10000000, 4 * _MB),
            (0x38000000, 2 * _MB),
            uart=0x50200000,
            hertz=20_000_000,
        ),
        _cortex_m(
            "cortex-m55",
            "mps3-an547",
            "auto",
            (0, 512 * _KB),
            (0x30000000, 512 * _KB),
            uart=_MPS3,
            hertz=32_000_000,
            larger=_cortex_m("cortex-m55", "mps3-an547", "auto", *_DDR, uart=_MPS3, hertz=32_000_000),
        ),
        Board(
            "rv32imc",
            "riscv",
            "riscv64-unknown-elf-gcc",
            ("-march=rv32imc", "-mabi=ilp32", "--specs=picolibc.specs"),
            ("-lc", "-lgcc"),
            (
                "qemu-system-riscv32",
                "-M",
                "virt",
                "-bios",
                "none",
                "-display",
                "none",
                "-monitor",
                "none",
                "-serial",
                "stdio",
            ),
            core="RV32IMC",
        ),
        Board(
            "xtensa",
            "xtensa",
            "xtensa-lx106-elf-gcc",
            ("-ffreestanding", "-fbuiltin", "-mtext-section-literals"),
            ("-nostdlib", "-lgcc"),
            (
                *("qemu-system-xtensa", "-M", "sim", "-cpu", "lx106", "-semihosting"),
                *("-display", "none", "-monitor", "none", "-serial", "stdio"),
            ),
        ),
        Board(
            "avr",
            "avr",
            "avr-gcc",
            ("-mmcu=atmega1284p",),
            memory={"FLASH_LENGTH": 128 * _KB, "RAM_LENGTH": 16 * _KB},
            serial=("-DBOARD_HERTZ=16000000ul",),
        ),
        Board(
            "aarch64",
            "hosted",
            "aarch64-linux-gnu-gcc",
            ("-static", "-no-pie"),
            emulator=("qemu-aarch64", "-cpu", "max"),
            hosted_count=True,
        ),
        Board("powerpc", "hosted", "powerpc-linux-gnu-gcc", ("-static", "-DRNNC_PLAIN"), (), ("qemu-ppc-static",)),
        Board("host", "hosted", "gcc"),
    )
}
PACKAGES = {
    "arm-none-eabi-gcc": "gcc-arm-none-eabi libnewlib-arm-none-eabi",
    "qemu-system-arm": "qemu-system-arm",
    "riscv64-unknown-elf-gcc": "gcc-riscv64-unknown-elf picolibc-riscv64-unknown-elf",
    "qemu-system-riscv32": "qemu-system-misc",
    "xtensa-lx106-elf-gcc": "gcc-xtensa-lx106",
    "qemu-system-xtensa": "qemu-system-misc",
    "avr-gcc": "gcc-avr avr-libc",
    "simavr": "simavr libsimavr-dev libelf-dev",
    "aarch64-linux-gnu-gcc": "gcc-aarch64-linux-gnu libc6-dev-arm64-cross",
    "qemu-aarch64": "qemu-user",
    "powerpc-linux-gnu-gcc": "gcc-powerpc-linux-gnu libc6-dev-powerpc-cross",
    "qemu-ppc-static": "qemu-user-static",
    "gcc": "gcc",
    "verilator": "verilator",
    "g++": "g++",
    "make": "make",
}
"""Debian packages of each command."""
