"""Options of a compilation; the command line's options have the same names."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from numbers import Integral, Real
from typing import Any, Literal, get_args

from rnnc.errors import UsageError
from rnnc.flags import BYTE_BITS, FLAGS, WORD_BITS, flag_of, q_bits, said

Precision = Literal["a16", "a8"]
Weights = Literal["auto", "8", "16"]
Layout = Literal[
    "plain",
    "arduino",
    "zephyr",
    "esp-idf",
    "cmake",
    "platformio",
    "baremetal",
    "blob",
    "rust",
    "wasm",
    "micropython",
    "cmsis-pack",
]
"""The layout of a package on disk (backend.layouts)."""
FIRST_VERSION = "0.1.0"
"""The version of a package that is given none."""
OutputScale = Literal["common", "channel"]
Pair = tuple[float | Sequence[float], float | Sequence[float]]
"""Two numbers, or two lists by channel."""
ProgressCallback = Callable[[int, int], None]
"""Called during long work with the amount done and the total."""


def no_progress(_: int, __: int) -> None:
    """Discard progress reports."""


@dataclass(frozen=True)
class OptionRule:
    """The rule for a value.

    Args:
        kind: the expected kind, in words.
        is_kind: returns whether a value is of that kind.
        wrong: returns what else is wrong with a value of that kind, "" for nothing.
        every: whether the rule applies to each value of a mapping or each element of a tuple.
    """

    kind: str
    is_kind: Callable[[Any], bool]
    wrong: Callable[[Any], str] = lambda _: ""
    every: bool = False


def _is_whole(value: Any) -> bool:
    return isinstance(value, Integral) and not isinstance(value, bool)


def _is_number(value: Any) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool)


def _is_channels(value: Any) -> bool:
    """Whether it is a number, or one for each channel."""
    return _is_number(value) or (isinstance(value, tuple | list) and len(value) > 0 and all(map(_is_number, value)))


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_pair(value: Any) -> bool:
    return isinstance(value, tuple | list) and len(value) == 2 and all(map(_is_channels, value))


def each(value: float | Sequence[float]) -> tuple[float, ...]:
    """A number, or one for each channel, as a tuple."""
    return tuple(value) if isinstance(value, Sequence) else (value,)


def _of_pairs(pair: Pair) -> list[tuple[float, float]]:
    """Each channel's; those of fewer channels again and again."""
    first, second = map(each, pair)
    count = max(len(first), len(second))
    return [(first[k % len(first)], second[k % len(second)]) for k in range(count)]


def _unlike(pair: Pair) -> str:
    first, second = (len(each(side)) for side in pair)
    return "" if first == second or 1 in (first, second) else f"{first} and {second} channels do not fit"


def _negative(value: float) -> str:
    return "must not be negative" if value < 0 else ""


def _infinite(value: float) -> str:
    return "" if math.isfinite(value) else "must be finite"


def _no_precision(value: str) -> str:
    return "" if value in get_args(Precision) else f"expected {' or '.join(get_args(Precision))}"


def _no_weights(value: str) -> str:
    *others, last = get_args(Weights)
    return "" if value in get_args(Weights) else f"expected {', '.join(others)} or {last}"


def _no_block(name: str) -> str:
    shaped = re.fullmatch(r"[^.\s]+(\.[^.\s]+(\.[xh])?)?", name)
    return "" if shaped else "expected LAYER, LAYER.GATE, or LAYER.GATE.x and LAYER.GATE.h"


def _no_fraction(n: int) -> str:
    return "" if 0 <= n <= WORD_BITS else f"N must be 0 to {WORD_BITS}"


def input_q(value: int | str) -> tuple[int, int]:
    """Fraction bits and bits of an input's Qm.n: n of an int16 one, or the text "qm.n"; raises ValueError for another text."""
    if not isinstance(value, str):
        return value, WORD_BITS + 1
    whole, fraction = q_bits(value)
    if whole + fraction not in (BYTE_BITS, WORD_BITS):
        raise ValueError(f"expected qM.N with M + N = {WORD_BITS}, or {BYTE_BITS} for int8")
    return fraction, whole + fraction + 1


def _is_q(value: Any) -> bool:
    return _is_whole(value) or _is_text(value)


def _no_input_q(value: int | str) -> str:
    if not isinstance(value, str):
        return _no_fraction(value)
    try:
        input_q(value)
    except ValueError as error:
        return str(error)
    return ""


def _no_output_scale(value: str) -> str:
    return "" if value in get_args(OutputScale) else f"expected {' or '.join(get_args(OutputScale))}"


def _no_range(pair: Pair) -> str:
    if not all(math.isfinite(n) for side in pair for n in each(side)):
        return "LO and HI must be finite"
    return _unlike(pair) or ("" if all(lo < hi for lo, hi in _of_pairs(pair)) else "LO must be below HI")


def _no_affine(pair: Pair) -> str:
    if not all(math.isfinite(n) for side in pair for n in each(side)):
        return "SCALE and OFFSET must be finite"
    return _unlike(pair) or ("" if min(each(pair[0])) > 0 else "SCALE must be above 0")


def _no_version(text: str) -> str:
    return "" if re.fullmatch(r"(0|[1-9]\d*)(\.(0|[1-9]\d*)){2}", text) else "expected three numbers, 1.2.3 say"


def _no_url(text: str) -> str:
    return (
        ""
        if re.fullmatch(r"(https?://[\w./~%:@+-]+)?", text, re.ASCII)
        else "expected a URL, https://example.com/gesture say"
    )


COUNT = OptionRule("a whole number", _is_whole, _negative)
RULES: Mapping[str, OptionRule] = {
    "name": OptionRule("a text", _is_text),
    "package_version": OptionRule("a text", _is_text, _no_version),
    "package_url": OptionRule("a text", _is_text, _no_url),
    "precision": OptionRule("a text", _is_text, _no_precision),
    "layer_precision": OptionRule("a text", _is_text, _no_precision, every=True),
    "weights": OptionRule("a text", _is_text, _no_weights),
    "wide": OptionRule("a text", _is_text, _no_block, every=True),
    "min_sqnr": OptionRule(
        "a number", lambda db: db is None or _is_number(db), lambda db: "" if db is None else _infinite(db)
    ),
    "target": OptionRule("a text", _is_text),
    "search": COUNT,
    "hop": COUNT,
    "window": COUNT,
    "bind": OptionRule("a number", _is_number, _infinite, every=True),
    "states": OptionRule("a text", _is_text, every=True),
    "wav_hop": COUNT,
    "time_axis": OptionRule("a whole number", lambda axis: axis is None or _is_whole(axis), every=True),
    "outputs": OptionRule("a text", _is_text, every=True),
    "external_data": OptionRule("True or False", lambda value: isinstance(value, bool)),
    "step_many": OptionRule("True or False", lambda value: isinstance(value, bool)),
    "input_range": OptionRule("two numbers, LO and HI", _is_pair, _no_range, every=True),
    "input_format": OptionRule("a whole number, or a text like q3.4", _is_q, _no_input_q, every=True),
    "output_format": OptionRule("a whole number", _is_whole, _no_fraction, every=True),
    "output_scale": OptionRule("a text", _is_text, _no_output_scale, every=True),
    "input_affine": OptionRule("two numbers, SCALE and OFFSET", _is_pair, _no_affine, every=True),
}
"""The rule of each field of Options. The stages check targets and names of the network."""
BYTES = OptionRule("a number", _is_number, lambda limit: _infinite(limit) or _negative(limit))
LIMITS: Mapping[str, OptionRule] = {
    **dict.fromkeys(("max_flash", "max_ram", "max_stack", "flash", "instructions"), BYTES),
    "min_sqnr": OptionRule("a number", _is_number, _infinite),
}
"""The rules of limits on a result."""
NAMED = ("states", "time_axis", "input_range", "input_format", "input_affine")
"""Options that name inputs: of several networks each is given those of its own."""
NAMED_OUTPUTS = ("output_format", "output_scale")
"""The same of outputs."""
NUMBER_OF_AN_INPUT = ("input_range", "input_format", "input_affine")
NUMBER_OF_AN_OUTPUT = ("output_format", "output_scale")
"""Options that each define the meaning of an input's or an output's integers; only one may be given for each."""


@dataclass(frozen=True)
class Options:
    """Options of ``compile_model``.

    Args:
        name: prefix of everything that is generated; from the file's name where empty.
        package_version: MAJOR.MINOR.PATCH of the package, in its header and in what build systems read.
        package_url: the page of the package, in what build systems read; "" for none.
        precision: "a16", or "a8" for 8-bit recurrent operands.
        layer_precision: the same of single layers, by name ("lstm0").
        weights: "8" or "16" bits for all, or "auto": as many in 16 bits as the accuracy asks for.
        wide: blocks with weights of 16 bits: a layer, a gate of it ("lstm0.c"), or that over one operand ("lstm0.c.x").
        min_sqnr: dB that every output must reach: with weights "auto" as many in 16 bits as that takes on the calibration
            data; the accuracy that is measured is held against it, in place of the verdict.
        target: the part to pack weights and choose kernels for.
        search: number of builds with jittered row scales to compare on the calibration data, 0 or 1 for none.
        window: T, the steps of a window, which starts from reset and is answered at its end; 0 for an endless stream.
        hop: K, the steps from one window's answer to the next; 0 for T. Without ``window``, the length of the windows is
            the one that the file fixes.
        bind: values of named dimensions and of scalar inputs (``batch=1``, ``sr=16000``).
        states: graph output that feeds each state input, or "none" where an input is no state.
        wav_hop: samples from one frame of a .wav to the next, 0 for as many as a frame has.
        time_axis: which axis of an input is time; None for none of them.
        outputs: tensors to compile as outputs instead of the file's.
        external_data: read weights from any files beside the model that it names, not from MODEL.onnx.data alone.
        step_many: add NAME_step_many, a step of many streams over one pass of the weights.
        input_range: (lo, hi) of an input, real units; each a number, or one for each channel.
        input_format: n of an input's Qm.n in int16, or "qM.N", of 7 bits for int8.
        input_affine: (scale, offset): the input arrives as raw counts, real = counts * scale + offset; by channel as well.
        output_format: n of an output's Qm.n.
        output_scale: "common" for one scale of all channels of an output, "channel" for one each; by their ranges else.

    Raises UsageError if a value breaks the rule of its option.
    """

    name: str = ""
    package_version: str = FIRST_VERSION
    package_url: str = ""
    precision: Precision = "a16"
    layer_precision: Mapping[str, Precision] = field(default_factory=dict)
    weights: Weights = "auto"
    wide: tuple[str, ...] = ()
    min_sqnr: float | None = None
    target: str = "portable"
    search: int = 0
    window: int = 0
    hop: int = 0
    bind: Mapping[str, float] = field(default_factory=dict)
    states: Mapping[str, str] = field(default_factory=dict)
    wav_hop: int = 0
    time_axis: Mapping[str, int | None] = field(default_factory=dict)
    outputs: tuple[str, ...] = ()
    external_data: bool = False
    step_many: bool = False
    input_range: Mapping[str, Pair] = field(default_factory=dict)
    input_format: Mapping[str, int | str] = field(default_factory=dict)
    input_affine: Mapping[str, Pair] = field(default_factory=dict)
    output_format: Mapping[str, int] = field(default_factory=dict)
    output_scale: Mapping[str, OutputScale] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for keyword, rule in RULES.items():
            _check(keyword, getattr(self, keyword), rule)
        for name, (first, *others) in (*self._ways(NUMBER_OF_AN_INPUT), *self._ways(NUMBER_OF_AN_OUTPUT)):
            if others:
                raise UsageError(
                    f"{flag_of(first)} and {flag_of(others[0])} are both given for {name!r}: one is enough"
                )

        if self.step_many and (self.window or self.hop):
            raise UsageError("--step-many: no streams with --window or --hop", hint="Step each window by itself.")
        if self.step_many and self.target == "all":
            raise UsageError(
                "--step-many: not in a package for all cores", hint="Name one --target: host, for a server."
            )

    def _ways(self, keywords: Sequence[str]) -> list[tuple[str, list[str]]]:
        """For each input or output, the given options that define the meaning of its integers."""
        ways: dict[str, list[str]] = {}
        for keyword in keywords:
            for name in getattr(self, keyword):
                ways.setdefault(name, []).append(keyword)
        return list(ways.items())

    def precision_of(self, layer: str) -> Precision:
        """The precision of a layer."""
        return self.layer_precision.get(layer, self.precision)

    @property
    def profile(self) -> str:
        """ "a16", or "a16, a8: lstm0, dense0" where layers differ from the others."""
        others = [name for name in self.layer_precision if self.precision_of(name) != self.precision]
        other = "a8" if self.precision == "a16" else "a16"
        return f"{self.precision}, {other}: {', '.join(others)}" if others else self.precision


def _check(keyword: str, value: Any, rule: OptionRule) -> None:
    """Raise UsageError if the value of an option breaks its rule."""
    flag = flag_of(keyword)
    if not rule.every:
        _check_one(keyword, "", value, rule)
    elif FLAGS[flag].argument == "entries":
        if not isinstance(value, Mapping) or not all(isinstance(name, str) for name in value):
            raise UsageError(f"{flag}: expected a mapping of names, not {value!r}")
        for name, each in value.items():
            _check_one(keyword, name, each, rule)
    else:
        if not isinstance(value, tuple | list):
            raise UsageError(f"{flag}: expected a tuple of names, not {value!r}")
        for each in value:
            _check_one(keyword, "", each, rule)


def _check_one(keyword: str, name: str, value: Any, rule: OptionRule) -> None:
    if not rule.is_kind(value):
        of = f" {name}" if name else ""
        raise UsageError(f"{flag_of(keyword)}{of}: expected {rule.kind}, not {value!r}")
    wrong = rule.wrong(value)
    if wrong:
        written = FLAGS[flag_of(keyword)].written(value)
        raise UsageError(f"{said(keyword, f'{name}={written}' if name else written)}: {wrong}")


def check_limits(**limits: float | None) -> None:
    """Raise UsageError if a limit, given by its keyword (``max_flash=-5``), is invalid; None is no limit."""
    for keyword, limit in limits.items():
        if limit is not None:
            _check_one(keyword, "", limit, LIMITS[keyword])
