"""What the user can say about a model and its compilation; the command line's options carry the same names."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from numbers import Integral, Real
from typing import Any, Literal, get_args

from rnnc.errors import UsageError
from rnnc.flags import FLAGS, WORD_BITS, flag_of, said

Precision = Literal["a16", "a8"]
Layout = Literal["plain", "arduino", "zephyr", "esp-idf", "cmake", "platformio", "baremetal"]
"""How a package lies on disk (backend.layouts)."""
FIRST_VERSION = "0.1.0"
"""The version of a package that is given none."""
Told = Callable[[int, int], None]
"""Called in long work with how much is done, and of how much."""


def not_told(_: int, __: int) -> None:
    """Tell nobody."""


@dataclass(frozen=True)
class OptionRule:
    """What a value must be.

    Args:
        kind: in words.
        is_kind: whether it is of that kind.
        wrong: what else is wrong with one of that kind, "" for nothing.
        every: the rule is for each value of a mapping, or each element of a tuple.
    """

    kind: str
    is_kind: Callable[[Any], bool]
    wrong: Callable[[Any], str] = lambda _: ""
    every: bool = False


def _is_whole(value: Any) -> bool:
    return isinstance(value, Integral) and not isinstance(value, bool)


def _is_number(value: Any) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool)


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_pair(value: Any) -> bool:
    return isinstance(value, tuple | list) and len(value) == 2 and all(map(_is_number, value))


def _negative(value: float) -> str:
    return "must not be negative" if value < 0 else ""


def _infinite(value: float) -> str:
    return "" if math.isfinite(value) else "must be finite"


def _no_precision(value: str) -> str:
    return "" if value in get_args(Precision) else f"expected {' or '.join(get_args(Precision))}"


def _no_range(pair: tuple[float, float]) -> str:
    if not all(map(math.isfinite, pair)):
        return "LO and HI must be finite"
    return "" if pair[0] < pair[1] else "LO must be below HI"


def _no_affine(pair: tuple[float, float]) -> str:
    if not all(map(math.isfinite, pair)):
        return "SCALE and OFFSET must be finite"
    return "" if pair[0] > 0 else "SCALE must be above 0"


def _no_version(text: str) -> str:
    return "" if re.fullmatch(r"(0|[1-9]\d*)(\.(0|[1-9]\d*)){2}", text) else "expected three numbers, 1.2.3 say"


COUNT = OptionRule("a whole number", _is_whole, _negative)
RULES: Mapping[str, OptionRule] = {
    "name": OptionRule("a text", _is_text),
    "package_version": OptionRule("a text", _is_text, _no_version),
    "precision": OptionRule("a text", _is_text, _no_precision),
    "layer_precision": OptionRule("a text", _is_text, _no_precision, every=True),
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
    "input_range": OptionRule("two numbers, LO and HI", _is_pair, _no_range, every=True),
    "input_format": OptionRule(
        "a whole number",
        _is_whole,
        lambda n: "" if 0 <= n <= WORD_BITS else f"N must be 0 to {WORD_BITS}",
        every=True,
    ),
    "input_affine": OptionRule("two numbers, SCALE and OFFSET", _is_pair, _no_affine, every=True),
}
"""What each field of Options must be, whoever made it. Targets and names of the network are for the stages to check."""
BYTES = OptionRule("a number", _is_number, lambda limit: _infinite(limit) or _negative(limit))
LIMITS: Mapping[str, OptionRule] = {
    **dict.fromkeys(("max_flash", "max_ram", "max_stack", "flash", "instructions"), BYTES),
    "min_sqnr": OptionRule("a number", _is_number, _infinite),
}
"""What bounds of a result must be."""
NAMED = ("states", "time_axis", "input_range", "input_format", "input_affine")
"""Options that name inputs: of several networks each is given those of its own."""
NUMBER_OF_AN_INPUT = ("input_range", "input_format", "input_affine")
"""Each alone says what an input's integers mean."""


@dataclass(frozen=True)
class Options:
    """Options of ``compile_model``.

    Args:
        name: prefix of everything that is generated; from the file's name where empty.
        package_version: MAJOR.MINOR.PATCH of the package, in its header and in what build systems read.
        precision: "a16", or "a8" for 8-bit recurrent operands.
        layer_precision: the same of single layers, by name ("lstm0").
        target: the part to pack weights and choose kernels for.
        search: builds with jittered row scales to try on the calibration data, 0 or 1 for none.
        window: T, the steps of a window, each of which starts anew and is answered at its end; 0 for an endless stream.
        hop: K, the steps from one window's answer to the next; 0 for as many as a window has. Alone it is about windows
            of the length that the file fixes.
        bind: values of named dimensions and of scalar inputs (``batch=1``, ``sr=16000``).
        states: graph output that feeds each state input, or "none" where an input is no state.
        wav_hop: samples from one frame of a .wav to the next, 0 for as many as a frame has.
        time_axis: which axis of an input is time; None where none of them is.
        outputs: tensors to compile as outputs in place of the file's.
        external_data: read weights that lie in files beside the model's (torch writes them there by default).
        input_range: (lo, hi) of an input, real units.
        input_format: n of an input's Qm.n.
        input_affine: (scale, offset): the input arrives as raw counts, real = counts * scale + offset.

    Raises UsageError where a value is none that its option takes.
    """

    name: str = ""
    package_version: str = FIRST_VERSION
    precision: Precision = "a16"
    layer_precision: Mapping[str, Precision] = field(default_factory=dict)
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
    input_range: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    input_format: Mapping[str, int] = field(default_factory=dict)
    input_affine: Mapping[str, tuple[float, float]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for keyword, rule in RULES.items():
            _check(keyword, getattr(self, keyword), rule)
        for name, (first, *others) in self._ways().items():
            if others:
                raise UsageError(
                    f"{flag_of(first)} and {flag_of(others[0])} are both given for {name!r}: one is enough"
                )

    def _ways(self) -> dict[str, list[str]]:
        """For each input the options that say what its integers mean."""
        ways: dict[str, list[str]] = {}
        for keyword in NUMBER_OF_AN_INPUT:
            for name in getattr(self, keyword):
                ways.setdefault(name, []).append(keyword)
        return ways

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
    """Raise UsageError where the value of an option breaks its rule."""
    flag = flag_of(keyword)
    if not rule.every:
        _check_one(keyword, "", value, rule)
    elif FLAGS[flag].takes == "entries":
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
    """Raise UsageError where a limit, by its keyword (``max_flash=-5``), makes no sense; None is no limit."""
    for keyword, limit in limits.items():
        if limit is not None:
            _check_one(keyword, "", limit, LIMITS[keyword])
