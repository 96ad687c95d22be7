"""The parts that rnnc compiles for: how each packs its weights, and which headers of runtime_c/isa its kernels come from."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from difflib import get_close_matches
from functools import partial

from rnnc.backend import pack
from rnnc.backend.pack import Packing
from rnnc.backend.parts import PARTS
from rnnc.backend.sparse import Sparse, pack_sparse_columns, sparse_words
from rnnc.errors import UsageError
from rnnc.fixed import TABLE


def as_it_is(columns: int, bits: int) -> tuple[str, int]:
    """An operand that the kernel reads where and how it lies."""
    return f"int{bits}_t", columns


@dataclass(frozen=True)
class Target:
    """A part.

    Args:
        name: as on the command line.
        group: rows that the packing takes together, RNNC_GROUP in the C.
        packing: of ``[rows, columns]``, rows a multiple of group, to the bytes that the kernel reads.
        rom: headers of runtime_c that tell how constants are kept and read, where that is not as usual.
        isa: headers of runtime_c that replace named functions, included before the kernels.
        lanes: units whose gates are computed together, RNNC_LANES in the C.
        direct: an operand that is borrowed can be read where it lies, RNNC_DIRECT in the C.
        told_columns: the C tells its kernels the columns of the widest operand, RNNC_MOST_COLUMNS; they leave out what wider
            ones take.
        vectors: kernels of elementwise ops compute several elements at once.
        operand: C type and length of a prepared operand, given its columns and bits.
        most_constant: bytes that its compilers take in one array, 0 for any.
        most_constants: bytes of constants that its reads reach, 0 for any.
        sparse: how it stores rows without their blocks of zeros; None where it does not.
        intervals: of the tables of sigmoid and tanh: those of fixed.TABLE, or of both signs and beyond.
    """

    name: str
    group: int
    packing: Packing
    isa: tuple[str, ...] = ()
    rom: tuple[str, ...] = ()
    lanes: int = 1
    direct: bool = False
    told_columns: bool = False
    vectors: bool = False
    operand: Callable[[int, int], tuple[str, int]] = as_it_is
    sparse: Sparse | None = None
    intervals: int = TABLE.knots + 1
    most_constant: int = 0
    most_constants: int = 0

    @property
    def table_bytes(self) -> dict[str, int]:
        """Of each constant table of runtime_c/lut.h and functions.h."""
        n = self.intervals
        return {
            "sigmoid": 4 * n,
            "tanh": 4 * n,
            "slope": 2 * n,
            "exp2": 130,
            "fine_exp2": 256,
            "log2": 130,
            "rsqrt": 96,
        }

    def named_tables(self, used: Collection[str]) -> set[str]:
        """Those of the tables that kernels name which the target has: a "root" reads that of "rsqrt", or on AVR none."""
        root = set() if self.rom else {"rsqrt"}
        return (set(used) - {"root"}) | (root if "root" in used else set())


def dsp_operand(columns: int, _: int) -> tuple[str, int]:
    """What rnnc_prepare of runtime_c/isa/dsp.h writes."""
    return "int32_t", 2 + (columns + 3) // 4 * 2


def telescope_operand(columns: int) -> Callable[[int, int], tuple[str, int]]:
    """What rnnc_prepare of runtime_c/isa/telescope.h writes, padded to ``columns``."""
    return lambda n, _: ("int32_t", 3 + (n + columns - 1) // columns * columns)


def avr_operand(columns: int, bits: int) -> tuple[str, int]:
    """What rnnc_prepare of runtime_c/isa/avr.h writes."""
    together = 32 // bits
    return "int32_t", (columns + 255) // 256 + (columns + together - 1) // together


def words_operand(columns: int, _: int) -> tuple[str, int]:
    """What rnnc_prepare of runtime_c/isa/words.h writes."""
    return "int32_t", 1 + (columns + 1) // 2


def mve_operand(columns: int, bits: int) -> tuple[str, int]:
    """As wide as it was, padded to 8."""
    return f"int{bits}_t", (columns + 7) // 8 * 8


def quads_operand(columns: int, bits: int) -> tuple[str, int]:
    """What rnnc_prepare of runtime_c/isa/x86.h writes."""
    padded = (columns + 3) // 4 * 4
    return "int16_t", 2 + padded + padded * bits // 16


def dot_operand(columns: int, bits: int) -> tuple[str, int]:
    """What rnnc_prepare of runtime_c/isa/aarch64.h writes."""
    padded = (columns + 3) // 4 * 4
    return "int16_t", padded + padded * bits // 16


def _telescope(name: str, header: str, columns: int) -> Target:
    packing = Packing(partial(pack.pack_telescope, columns=columns), partial(pack.pack_wide_telescope, columns=columns))
    return Target(name, 4, packing, (f"isa/{header}",), operand=telescope_operand(columns))


def _dsp(name: str) -> Target:
    packing = Packing(pack.pack_dsp, pack.pack_wide_dsp, sparse=DSP_SPARSE.layout)
    intervals = 2 << TABLE.knots.bit_length()
    return Target(name, 4, packing, ("isa/dsp.h",), operand=dsp_operand, sparse=DSP_SPARSE, intervals=intervals)


def _words(name: str, header: str, sparse: Sparse | None = None) -> Target:
    packing = Packing(pack.pack_words, pack.pack_wide_words, sparse=sparse.layout if sparse else None)
    return Target(name, 4, packing, (f"isa/{header}",), lanes=2, operand=words_operand, sparse=sparse)


DSP_SPARSE = sparse_words("isa/dsp_sparse.h", pack.pack_dsp, whole=14.75, kept=15.75, group=6, unit=76)
RV32_SPARSE = sparse_words("isa/rv32_sparse.h", pack.pack_words, whole=51.5, kept=60, group=6)
MVE_SPARSE = Sparse(pack_sparse_columns, "isa/mve_sparse.h", whole=4.25, whole8=2.25, kept=5.5, group=8)


QUADS = Packing(
    pack.pack_quads,
    pack.pack_wide_pairs,
    narrow_batch=pack.pack_quads_together,
    wide_batch=pack.pack_wide_pairs_together,
)
TARGETS = {
    t.name: t
    for t in (
        Target("portable", 1, Packing(pack.pack_rows, pack.pack_wide_rows), lanes=4, direct=True),
        _telescope("cortex-m0", "cortex_m0.h", 2),
        _telescope("cortex-m3", "cortex_m3.h", 4),
        _dsp("cortex-m4"),
        _dsp("cortex-m7"),
        _dsp("cortex-m33"),
        Target(
            "cortex-m55",
            4,
            Packing(pack.pack_mve, pack.pack_wide_mve, sparse=MVE_SPARSE.layout),
            ("isa/mve.h",),
            lanes=4,
            vectors=True,
            operand=mve_operand,
            sparse=MVE_SPARSE,
            intervals=2 << TABLE.knots.bit_length(),
        ),
        Target(
            "avr",
            1,
            Packing(pack.pack_twos, pack.pack_wide_twos, narrow8=pack.pack_fours),
            ("isa/avr.h",),
            ("isa/avr_rom.h",),
            told_columns=True,
            operand=avr_operand,
            most_constant=2**15 - 1,
            most_constants=2**16 - 512,  # the vectors are before them
        ),
        Target("host", 8, QUADS, ("isa/x86.h",), lanes=8, operand=quads_operand),
        Target(
            "aarch64",
            4,
            Packing(pack.pack_dot, pack.pack_wide_dot),
            ("isa/aarch64.h",),
            lanes=4,
            operand=dot_operand,
        ),
        _words("rv32imc", "rv32.h", RV32_SPARSE),
        _words("xtensa", "xtensa.h"),
    )
}


ALL = replace(TARGETS["portable"], name="all", rom=TARGETS["avr"].rom)
"""Every packing in one package (backend.emit.every); what it is judged by is portable C."""
NAMES = (*TARGETS, ALL.name)
"""What --target takes, beside parts."""

BOARDS = {
    "esp32 esp32s2 esp32s3 esp32wroom esp32wroom32": "For ESP32, S2 and S3: --target xtensa.",
    "arduino arduinouno uno nano arduinonano atmega328": "For an Arduino Uno or Nano: --target atmega328p.",
    "mega arduinomega": "For an Arduino Mega: --target atmega2560.",
    "pico raspberrypipico": "For a Raspberry Pi Pico: --target rp2040.",
    "pico2 raspberrypipico2": "For a Raspberry Pi Pico 2: --target rp2350.",
    "teensy teensy4 teensy40 teensy41": "For a Teensy 4: --target imxrt1062.",
    "bluepill": "For a Blue Pill: --target stm32f103c8.",
    "microbit": "For a micro:bit: --target nrf51822; for its second version: --target cortex-m4.",
    "arm cortexm stm32 nrf52": "Name the core, --target cortex-m4 say, or the part.",
}
"""What people call boards and families, and what they are compiled for."""
MOST_MEANT = 4


def find_target(name: str) -> Target:
    """The target of that name, or that of the part of that name; raises UsageError where there is none."""
    if name in PARTS:
        return TARGETS[PARTS[name].target]
    if name not in NAMES:
        hint = f"One of: {', '.join(NAMES)}; or a part, which `rnnc parts` lists."
        raise UsageError(f"unknown target {name!r}", hint=f"{_meant(name)} {hint}".lstrip())
    return ALL if name == ALL.name else TARGETS[name]


def _meant(name: str) -> str:
    """A question, or advice, on a name that is no target: a core or a part by another name, a board, a typing error."""
    plain = re.sub(r"[^a-z0-9]", "", name.lower())
    for words, advice in BOARDS.items():
        if plain in words.split():
            return advice
    spelled = {re.sub(r"[^a-z0-9]", "", known): known for known in (*NAMES, *PARTS)}
    named = [known for short, known in spelled.items() if plain.startswith(short) or short.endswith(plain)]
    named = named or [known for short, known in spelled.items() if len(plain) > 2 and plain in short]
    named = named or [spelled[short] for short in get_close_matches(plain, spelled, 1)]
    return f"Is it {' or '.join(named[:MOST_MEANT])}?" if named and plain else ""
