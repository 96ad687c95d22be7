"""The tables of ``runtime_c`` and the figures about them in the docs, written from the modules that define them.

They stand between two comments, ``generated: NAME, by make golden`` and ``end of NAME``; ``filled`` writes what belongs there.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Callable, Iterable
from math import ceil

import numpy as np

from rnnc import fixed, functions
from rnnc.activations import GATE_TABLES
from rnnc.backend.targets import TARGETS
from rnnc.fixed import TABLE, Ints

MARKED = re.compile(
    r"(?P<begin>(?P<open>/\*|<!--) generated: (?P<name>[^,\n]+), by make golden (?:\*/|-->)\n)"
    r"(?P<body>.*?)(?P<end>(?P=open) end of (?P=name) (?:\*/|-->)\n)",
    re.S,
)
"""A marked part of a header or page."""


def filled(text: str, blocks: dict[str, str]) -> str:
    """The text with each marked part as it should be; raises KeyError for a name that nothing generates."""
    return MARKED.sub(lambda m: f"{m['begin']}{blocks[m['name']]}{m['end']}", text)


def marked(text: str) -> list[str]:
    """The names of the marked parts of a text."""
    return [m["name"] for m in MARKED.finditer(text)]


def blocks() -> dict[str, str]:
    """Every marked part by its name."""
    return {
        "the knots of sigmoid and tanh": sigmoid_knots(),
        "the lines of sigmoid and tanh": sigmoid_lines(),
        "the index of the DSP extension": dsp_index(),
        "the lines of the DSP extension": dsp_lines(),
        "the lines of Helium": helium_lines(),
        "the index without a branch": branchless_index(),
        "the knots in words": knots_in_words(),
        "the knots in halves": knots_in_halves(),
        "the tables of functions of one number": function_tables(),
        "the table of the fine power of two": fine_table(),
        "the table's figures": figures(),
    }


# --------------------------------------------------------------------------- sigmoid and tanh

F = TABLE.fraction
HALF = 1 << (F - 1)


def lines() -> tuple[Ints, Ints, Ints]:
    """Of sigmoid and of tanh what an interval's line begins with, and its slope, each ``[knots + 1]``.

    With k the interval of |p| and f the rest of it, ``line[k] + slope[k] f`` shifted to the right is the function less its
    value at 0, rounded as the oracle rounds. Where tanh would reach 32768 its line is lowered: it stays at 32767.
    """
    fine, tail = TABLE.fine, TABLE.tail
    slope = np.concatenate([32 * (fine[:-1] - fine[1:]), tail[:-1] - tail[1:], [0]])
    knots = np.concatenate([fine[:-1] * 32, tail]) << F
    is_fine = np.arange(TABLE.knots + 1) < TABLE.split
    rounding = np.where(is_fine, 32 * (HALF - 1), HALF - 1)
    one = 1 << (F + 20)
    sigmoid = one + (1 << (F + 6)) - 1 - knots - rounding - (32 << F)
    tanh = one + (1 << (F + 5)) - 1 - knots - rounding - np.where(is_fine, 0, 16 << F)
    tanh = np.where(tanh + slope * ((1 << F) - 1) >= one, one - (2 << F), tanh)
    assert slope.max() < 1 << 16, "a slope does not fit uint16: the step is too wide"
    return sigmoid, tanh, slope


def sigmoid_knots() -> str:
    """The sizes of lut.h, and the formula of its lines."""
    k = round(1 / TABLE.step)
    sigmoid, tanh = errors()
    return (
        f"/* x = k/{k}. With A[k] = round(2^16 t(k/{k})) and B[k] = round(2^21 t(k/{k})), an interval's line is\n"
        f" *     k < {TABLE.split}:  32 ({1 << F} A[k] - f (A[k] - A[k + 1]))"
        f"      {TABLE.split} <= k < {TABLE.knots}:  {1 << F} B[k] - f (B[k] - B[k + 1])\n"
        f" * in units of 2^-{F + 21} at x = (k + f / {1 << F}) / {k}.\n"
        f" * The error of sigmoid is at most {sigmoid} LSB of Q0.15, that of tanh {tanh}. */\n"
        + _defines(
            ("RNNC_KNOTS", TABLE.knots, "the last interval: constant"),
            ("RNNC_TAIL", TABLE.split, "the first interval of B"),
            ("RNNC_STEP", F, f"2^{F} arguments of {fixed.GATE_FRACTION} fraction bits lie in an interval"),
        )
    )


def sigmoid_lines() -> str:
    """The three arrays of lut.h."""
    sigmoid, tanh, slope = lines()
    full = int(np.argmax(tanh == (1 << (F + 20)) - (2 << F)))
    fine, tail = f"k < {TABLE.split}: 32 ({1 << F} A[k] + {HALF - 1}", f"{1 << F} B[k] + {HALF - 1}"
    constant = f"2^{F + 20} + 2^{{}} - 1 less"
    return (
        "/* clang-format off */\n"
        f"/* {constant.format(F + 6)}  {fine} + {1 << F});  k >= {TABLE.split}: {tail} + 32 * {1 << F}. */\n"
        + _array("int32_t RNNC_ROM rnnc_sigmoid_line[]", sigmoid)
        + f"\n/* {constant.format(F + 5)}  {fine});  k < {full}: {tail} + 16 * {1 << F};  k >= {full}: tanh is 32767. */\n"
        + _array("int32_t RNNC_ROM rnnc_tanh_line[]", tanh)
        + f"\n/* k < {TABLE.split}: 32 (A[k] - A[k + 1]);  k < {TABLE.knots}: B[k] - B[k + 1]. */\n"
        + _array("uint16_t RNNC_ROM rnnc_slope[]", slope)
        + "/* clang-format on */\n"
    )


def index_bits() -> int:
    """Bits of the index of an interval."""
    return TABLE.knots.bit_length()


def dsp_index() -> str:
    """The index by one saturating shift of the DSP extension."""
    bits = index_bits()
    return (
        f"/* min(a >> {F}, {(1 << bits) - 1}), a < 2^31: the tables go on to there. */\n"
        "#define RNNC_LUT_INDEX\n"
        "static inline uint32_t rnnc_lut_index(uint32_t a)\n"
        "{\n"
        "    uint32_t k;\n"
        f'    __asm__("usat %0, #{bits}, %1, asr #{F}" : "=r"(k) : "r"(a));\n'
        "    return k;\n"
        "}\n"
    )


def both_signs() -> tuple[Ints, Ints, Ints]:
    """``lines`` for intervals of both signs: those of p < 0 begin at the end of |p|'s, and round as its negative does.

    Those of sigmoid have its value at 0 as well.
    """
    beyond = (1 << index_bits()) - 1 - TABLE.knots
    sigmoid, tanh, slope = (np.concatenate([a, np.repeat(a[-1], beyond)]) for a in lines())

    def below(line: Ints, shift: int) -> Ints:
        return ((1 << shift) - 1 - line - (slope << F))[::-1]

    half, slopes = 1 << (F + 20), np.concatenate([slope[::-1], slope])
    return (
        _fitted(np.concatenate([below(sigmoid, F + 6), sigmoid]) + half, slopes, F + 6, fixed.sigmoid, 1),
        _fitted(np.concatenate([below(tanh, F + 5), tanh]), slopes, F + 5, fixed.tanh, 2),
        slopes,
    )


def _fitted(line: Ints, slope: Ints, shift: int, oracle: Callable[[Ints], Ints], gain: int) -> Ints:
    """``line`` moved as little as the oracle's bits ask for: where |p| reaches the tail, that of p < 0 ends on its knot."""
    rest = np.arange(0, 1 << F, gain)
    starts = (np.arange(len(line)) - len(line) // 2) << F
    least = (oracle((starts[:, None] + rest) // gain) << shift) - slope[:, None] * rest
    lo, hi = least.max(1), least.min(1) + (1 << shift) - 1
    assert np.all(lo <= hi), "no line gives the oracle's bits: the step does not suit tables for both signs"
    return np.clip(line, lo, hi)


def _starts(sigmoid: str, tanh: str) -> str:
    """Functions of where the lines of lut.h begin, from a target's own."""
    return "".join(
        f"\n/* Where the line of {name} in lut.h begins. */\n"
        f"static inline int32_t rnnc_{name}_start(uint32_t k)\n{{\n    return {value};\n}}\n"
        for name, value in (("sigmoid", sigmoid), ("tanh", tanh))
    )


def dsp_lines() -> str:
    """The three arrays of isa/dsp_curves.h."""
    sigmoid, tanh, slope = both_signs()
    zero = 1 << index_bits()
    return (
        "/* clang-format off */\n"
        f"#define RNNC_CURVES {TABLE.knots}\n"
        f"#define RNNC_LINES {F} /* RNNC_STEP */\n"
        f'#define RNNC_DSP_STEP "{F}" /* the same in assembly */\n'
        f"#define rnnc_sigmoid_line (&rnnc_dsp_sigmoid[{zero}])\n"
        f"#define rnnc_tanh_line (&rnnc_dsp_tanh[{zero}])\n"
        f"#define rnnc_slope (&rnnc_dsp_slope[{zero}])\n"
        f"\n/* [{zero} + k], k: -{zero} .. {zero - 1}. The lines of lut.h, raised by 2^{F + 20}; k < 0:\n"
        f" * 2^{F + 20} + 2^{F + 6} - 1 less the end of |x|'s. */\n"
        + _array(f"int32_t RNNC_ROM rnnc_dsp_sigmoid[{2 * zero}]", sigmoid)
        + f"\n/* The same without 2^{F + 20}; k < 0: 2^{F + 5} - 1 less the end of |x|'s line. */\n"
        + _array(f"int32_t RNNC_ROM rnnc_dsp_tanh[{2 * zero}]", tanh)
        + "\n/* Those of lut.h, for both signs. */\n"
        + _array(f"uint16_t RNNC_ROM rnnc_dsp_slope[{2 * zero}]", slope)
        + "/* clang-format on */\n"
        + _starts(f"rnnc_sigmoid_line[k] - {1 << (F + 20)}", "rnnc_tanh_line[k]")
    )


def from_zero() -> tuple[Ints, Ints, Ints]:
    """``both_signs`` with each line where it would be at 0: the slope multiplies the whole of p."""
    sigmoid, tanh, slope = both_signs()
    least = 1 << index_bits()
    start = slope * ((np.arange(2 * least) - least) << F)
    return sigmoid - start, tanh - start, slope


def helium_lines() -> str:
    """The three arrays of isa/mve_curves.h."""
    sigmoid, tanh, slope = from_zero()
    zero = 1 << index_bits()
    return (
        "/* clang-format off */\n"
        f"#define RNNC_CURVES {TABLE.knots}\n"
        f"#define RNNC_LINES {F} /* RNNC_STEP */\n"
        f"#define rnnc_sigmoid_line (&rnnc_mve_sigmoid_line[{zero}])\n"
        f"#define rnnc_tanh_line (&rnnc_mve_tanh_line[{zero}])\n"
        f"#define rnnc_slope (&rnnc_mve_slope[{zero}])\n"
        f"\n/* [{zero} + k], k: -{zero} .. {zero - 1}. The lines of lut.h, raised by 2^{F + 20}; k < 0:\n"
        f" * 2^{F + 20} + 2^{F + 6} - 1 less the end of |x|'s; each less {1 << F} k times its slope. */\n"
        + _array(f"int32_t RNNC_ROM rnnc_mve_sigmoid_line[{2 * zero}]", sigmoid)
        + f"\n/* The same without 2^{F + 20}; k < 0: 2^{F + 5} - 1 less the end of |x|'s line. */\n"
        + _array(f"int32_t RNNC_ROM rnnc_mve_tanh_line[{2 * zero}]", tanh)
        + "\n/* Those of lut.h, for both signs. */\n"
        + _array(f"uint16_t RNNC_ROM rnnc_mve_slope[{2 * zero}]", slope)
        + "/* clang-format on */\n"
        + _starts(
            f"rnnc_sigmoid_line[k] - {1 << (F + 20)} + (int32_t)rnnc_slope[k] * (int32_t)(k << {F})",
            f"rnnc_tanh_line[k] + (int32_t)rnnc_slope[k] * (int32_t)(k << {F})",
        )
    )


def branchless_index() -> str:
    """The index for cores without a saturating or conditional instruction."""
    return (
        f"/* min(a >> {F}, {TABLE.knots}) without a branch: the time of a step does not depend on the data. */\n"
        "static inline uint32_t rnnc_lut_index(uint32_t a)\n"
        "{\n"
        f"    int32_t over = (int32_t)(a >> {F}) - {TABLE.knots};\n"
        f"    return (uint32_t)({TABLE.knots} + (over & (over >> 31)));\n"
        "}\n"
    )


def knots_in_words() -> str:
    """A knot and its slope in a word."""
    left = np.concatenate([TABLE.fine[:-1], TABLE.tail])
    slope = np.concatenate([-np.diff(TABLE.fine), -np.diff(TABLE.tail), [0]])
    assert slope.max() < 1 << 15, "a slope does not fit int16"
    split, knots = TABLE.split, TABLE.knots
    return (
        "/* The knots and slopes of lut.h in one word, as a gather is dearer than the arithmetic that takes it apart:\n"
        f" * k < {split}: A[k] << 16 | A[k] - A[k + 1];  k < {knots}: B[k] << 16 | B[k] - B[k + 1];  the last slope is 0. */\n"
        "/* clang-format off */\n"
        + _array(f"int32_t rnnc_knots_in_words[{knots + 1}]", (left << 16 | slope).astype(np.int32))
        + "/* clang-format on */\n"
    )


def knots_in_halves() -> str:
    """A knot less what makes it fit, and its slope, apart; the last knot is where the interval before it ends."""
    left, slope = (
        np.concatenate([TABLE.fine[:-1], TABLE.tail]),
        np.concatenate([-np.diff(TABLE.fine), -np.diff(TABLE.tail)]),
    )
    assert TABLE.knots * 2 % 64 == 0, "the table does not fill whole vectors"
    declared = f"int16_t __attribute__((aligned(64))) rnnc_knots_{{}}[{TABLE.knots}]"
    return (
        f"/* k < {TABLE.split}: A[k] - 32768;  k < {TABLE.knots}: B[k] - 32768, as lut.h has them. */\n/* clang-format off */\n"
        + _array(declared.format("left"), left[:-1] - (1 << 15))
        + "/* A[k] - A[k + 1] and B[k] - B[k + 1]. */\n"
        + _array(declared.format("slope"), slope)
        + "/* clang-format on */\n"
    )


def errors() -> tuple[float, float]:
    """The largest error of sigmoid and of tanh, in LSB of Q0.15, rounded up to tenths."""
    p = np.arange(1 << (fixed.GATE_FRACTION + 4))
    sigmoid = np.abs(fixed.sigmoid(p) - 2.0**15 / (1 + np.exp(-p * fixed.GATE_LSB))).max()
    tanh = np.abs(fixed.tanh(p) - 2.0**15 * np.tanh(p * fixed.GATE_LSB)).max()
    return ceil(sigmoid * 10) / 10, ceil(tanh * 10) / 10


def figures() -> str:
    """What docs/numerics.md says of the table."""
    sigmoid, tanh = errors()
    portable, dsp = (sum(TARGETS[name].table_bytes[t] for t in GATE_TABLES) for name in ("portable", "cortex-m4"))
    return (
        f"One table of {len(TABLE.values)} numbers, sigma(-x) at every 1/{round(1 / TABLE.step)} up to 12, interpolated: "
        "16 bits after the point up to 4, 21 beyond. The\n"
        f"largest error is {sigmoid} LSB of Q0.15 for sigmoid and {tanh} for tanh. The C keeps it as {TABLE.knots + 1} lines, "
        "with a beginning for each of the\n"
        "two functions and a slope that they share, so that a look-up is one multiplication and one shift: "
        f"{portable} bytes, and {dsp} where\n"
        "the DSP extension or Helium gives the interval of either sign.\n"
    )


def with_table_bytes(page: str) -> str:
    """docs/performance.md with the bytes of sigmoid's and tanh's tables by target, which its rows of memory hold."""

    def row(m: re.Match[str]) -> str:
        sizes = TARGETS[m["target"]].table_bytes
        return f"{m['before']}{sum(sizes[name] for name in GATE_TABLES)}{m['after']}"

    memory = r"^(?P<before>\| [^|]+ \| (?P<target>[\w-]+) \| \d+ \| )\d+(?P<after>(?: \| \d+){5} \|)$"
    written, rows = re.subn(memory, row, page, flags=re.M)
    assert rows, "the page has no rows of memory"
    return written


# --------------------------------------------------------------------------- 2^-x, log2, 1/sqrt


def function_tables() -> str:
    """The three arrays of functions.h."""
    n, knots = functions.CHORDS, functions.RSQRT_KNOTS
    return (
        "/* clang-format off */\n"
        + _defines(("RNNC_CHORD_BITS", functions.CHORD_BITS, "of an argument's 16 fraction bits, those within a chord"))
        + f"\n/* [0 .. {n}] 2^16 2^-(k/{n}), lowered by half the largest error of a chord. */\n"
        + _array(f"uint16_t RNNC_ROM rnnc_exp2_table[{n + 1}]", functions.EXP2)
        + f"\n/* [0 .. {n}] 2^19 (log2(1 + k/{n}) - k/{n}), raised by half the largest error of a chord. */\n"
        + _array(f"uint16_t RNNC_ROM rnnc_log2_table[{n + 1}]", functions.LOG2)
        + f"\n/* [0 .. {knots - 1}] 2^16 / sqrt((k + 16.5) / 16). */\n"
        + _array(f"uint16_t RNNC_ROM rnnc_rsqrt_table[{knots}]", functions.RSQRT)
        + "/* clang-format on */\n"
    )


def fine_table() -> str:
    """The array of extended_functions.h."""
    n = functions.CHORDS
    return (
        "/* clang-format off */\n"
        f"/* [0 .. {n - 1}] 2^30 2^-(k/{n}). */\n"
        + _array(f"int32_t RNNC_ROM rnnc_fine_exp2_table[{n}]", functions.FINE_EXP2)
        + "/* clang-format on */\n"
    )


def _defines(*macros: tuple[str, int, str]) -> str:
    """Macros with their comments, aligned as clang-format does."""
    words = [f"#define {name} {value}" for name, value, _ in macros]
    width = max(map(len, words))
    return "".join(f"{text:{width}} /* {says} */\n" for text, (_, _, says) in zip(words, macros, strict=True))


def _array(declared: str, values: Iterable[int]) -> str:
    """A constant array."""
    text = textwrap.fill(", ".join(str(int(v)) for v in values), 96, initial_indent="    ", subsequent_indent="    ")
    return f"static const {declared} = {{\n{text},\n}};\n"
