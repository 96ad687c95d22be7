"""Options have two spellings: flags in the shell, keywords in Python. Messages have flags until they are ``addressed``."""

from __future__ import annotations

import re
import shlex
import string
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

WORD_BITS = 15
"""m + n of an int16 Qm.n, which does not count the sign."""
BYTE_BITS = 7
"""The same of int8."""
CHANNEL_MARK = "/"
"""Between the numbers of channels."""
AXIS_NONE = "none"
"""What a flag says where Python says None."""


@dataclass(frozen=True)
class Spelling:
    """An option.

    Args:
        keyword: its name in Python.
        written: the value as a word of the shell; of a mapping's entry or of an element of a tuple, each.
        in_python: that word as Python has it; "" where it is none of this option's.
        argument: "value", or "entries" (NAME=VALUE) or "elements" where the flag is given again and again, or "nothing".
    """

    keyword: str
    written: Callable[[Any], str] = str
    in_python: Callable[[str], str] = str
    argument: str = "value"


def _number(text: str) -> str:
    return text if re.fullmatch(r"[+-]?(\d[\w.+-]*|inf|nan|[A-Z]+\d?)", text) else ""


def _channels(text: str) -> str:
    """ "1/2" as "(1, 2)"."""
    numbers = text.split(CHANNEL_MARK)
    if not all(map(_number, numbers)):
        return ""
    return numbers[0] if len(numbers) == 1 else f"({', '.join(numbers)})"


def _pair(mark: str) -> Callable[[str], str]:
    """ "-3:3" as "(-3, 3)", "1/2,0" as "((1, 2), 0)"."""

    def read(text: str) -> str:
        first, _, second = text.partition(mark)
        sides = _channels(first), _channels(second)
        return f"({sides[0]}, {sides[1]})" if all(sides) else ""

    return read


def _text(text: str) -> str:
    return text if text.isupper() else repr(text)


def q_bits(text: str) -> tuple[int, int]:
    """m and n of "qm.n"; raises ValueError for another text."""
    found = re.fullmatch(r"q(\d+)\.(\d+)", text.lower())
    if not found:
        raise ValueError("expected qM.N")
    return int(found[1]), int(found[2])


def _written_q(value: int | str) -> str:
    return value if isinstance(value, str) else f"q{WORD_BITS - value}.{value}"


def _qmn(text: str) -> str:
    fraction = re.fullmatch(r"q-?\w+\.(\w+)", text)
    if re.fullmatch(r"q\d+\.\d+", text) and sum(q_bits(text)) != WORD_BITS:
        return repr(text)
    return fraction[1] if fraction else ""


def _axis(text: str) -> str:
    return "None" if text == AXIS_NONE else _number(text)


Channels = float | Sequence[float]
"""A number, or one for each channel."""


def _two(mark: str) -> Callable[[tuple[Channels, Channels]], str]:
    def written(side: Channels) -> str:
        return CHANNEL_MARK.join(f"{n:g}" for n in (side if isinstance(side, Sequence) else (side,)))

    return lambda pair: f"{written(pair[0])}{mark}{written(pair[1])}"


def _count(keyword: str) -> Spelling:
    return Spelling(keyword, in_python=_number)


FLAGS: Mapping[str, Spelling] = {
    "--name": Spelling("name", in_python=_text),
    "--package-version": Spelling("package_version", in_python=_text),
    "--package-url": Spelling("package_url", in_python=_text),
    "--precision": Spelling("precision", in_python=_text),
    "--layer-precision": Spelling("layer_precision", in_python=_text, argument="entries"),
    "--weights": Spelling("weights", in_python=_text),
    "--wide": Spelling("wide", in_python=_text, argument="elements"),
    "--target": Spelling("target", in_python=_text),
    "--search": _count("search"),
    "--window": _count("window"),
    "--hop": _count("hop"),
    "--bind": Spelling("bind", "{:g}".format, _number, "entries"),
    "--state": Spelling("states", in_python=_text, argument="entries"),
    "--wav-hop": _count("wav_hop"),
    "--time-axis": Spelling("time_axis", lambda axis: AXIS_NONE if axis is None else str(axis), _axis, "entries"),
    "--output": Spelling("outputs", in_python=_text, argument="elements"),
    "--external-data": Spelling("external_data", in_python=lambda _: "True", argument="nothing"),
    "--step-many": Spelling("step_many", in_python=lambda _: "True", argument="nothing"),
    "--input-range": Spelling("input_range", _two(":"), _pair(":"), "entries"),
    "--input-format": Spelling("input_format", _written_q, _qmn, "entries"),
    "--input-affine": Spelling("input_affine", _two(","), _pair(","), "entries"),
    "--output-format": Spelling("output_format", _written_q, _qmn, "entries"),
    "--output-scale": Spelling("output_scale", in_python=_text, argument="entries"),
    "--calib": Spelling("calibration", in_python=_text),
    "--input": Spelling("test", in_python=_text),
    "--labels": Spelling("labels", in_python=_text),
    "--link": Spelling("links", in_python=_text, argument="entries"),
    "--package": Spelling("layout", in_python=_text),
    "--max-flash": _count("max_flash"),
    "--max-ram": _count("max_ram"),
    "--max-stack": _count("max_stack"),
    "--optimize": Spelling("level", in_python=_text),
    "--clock": Spelling("clock", "{:g}".format, _number),
    "--rate": Spelling("rate", "{:g}".format, _number),
    "--min-sqnr": Spelling("min_sqnr", "{:g}".format, _number),
    "--budget-flash": _count("flash"),
    "--budget-instructions": _count("instructions"),
    "--no-verify": Spelling("verify", in_python=lambda _: "False", argument="nothing"),
}
KEYWORDS: Mapping[str, str] = {spelling.keyword: flag for flag, spelling in FLAGS.items()}
"""The flag of each keyword."""


def flag_of(keyword: str) -> str:
    """The flag of a keyword."""
    return KEYWORDS.get(keyword, f"--{keyword.replace('_', '-')}")


def words(keyword: str, value: Any) -> list[str]:
    """What a command line says for an option: ["--state", "h=hn", "--state", "c=cn"]."""
    flag = flag_of(keyword)
    spelling = FLAGS.get(flag, Spelling(keyword))
    if value is True:
        return [flag]
    given: list[str]
    if spelling.argument == "entries":
        given = [f"{name}={spelling.written(v)}" for name, v in value.items()]
    else:
        given = [spelling.written(v) for v in (value if spelling.argument == "elements" else [value])]
    return [word for text in given for word in (flag, text)]


def said(keyword: str, text: str) -> str:
    """An option and its value as the subject of a message: "--input-range x=3:3"; quoted where the shell wants it so."""
    return f"{flag_of(keyword)} {shlex.quote(text) if set(text) & set(string.whitespace) else text}"


MENTION = re.compile(
    r"""`[^`]*` | (?<![\w-])(--[a-z]+(?:-[a-z]+)*)(?![\w-])  # a flag
        (?:[ ]('[^'\n]*'|[^\s'"();=]+=\.\.\.|[^\s'"();]*[^\s'"();:,.])(:?))?  # what may be its value""",
    re.VERBOSE,
)


OF_VERIFY, OF_BUILD = " of rnnc verify", " of rnnc.build"

_shell: ContextVar[bool] = ContextVar("shell", default=False)


@contextmanager
def in_shell() -> Iterator[None]:
    """Within it, messages are ``addressed`` to who typed a command."""
    token = _shell.set(True)
    try:
        yield
    finally:
        _shell.reset(token)


def addressed(text: str) -> str:
    """A message that names options as the shell does, for who gets it: as it is ``in_shell``, else ``in_python``."""
    return text if _shell.get() else in_python(text)


def in_python(text: str) -> str:
    """A message for who calls rnnc from Python: each flag that has a keyword as that, "--bind n=3" as "bind={'n': 3}"."""
    return MENTION.sub(_mention, text).replace(OF_VERIFY, OF_BUILD)


def _mention(found: re.Match[str]) -> str:
    flag, word, colon = found[1] or "", found[2] or "", found[3] or ""
    if flag not in FLAGS:  # another program's, or code in backquotes
        return found[0]
    spelling = FLAGS[flag]
    after = f" {word}{colon}" if word else ""
    if found.string[found.end(1) :].startswith(":"):
        return spelling.keyword
    if spelling.argument == "nothing":
        return f"{spelling.keyword}={spelling.in_python(word)}{after}"
    value = _value(spelling, word.strip("'"), bool(colon) or word.startswith("'"))
    return f"{spelling.keyword}={value}{colon}" if value else f"{spelling.keyword}{after}"


def _value(spelling: Spelling, word: str, subject: bool) -> str:
    """What follows a flag as Python has it; "" where it is the message's next word and no value.

    A text can only be told from it as the ``subject`` of a message, before its colon, and as a placeholder in capitals.
    """
    if spelling.argument != "entries" and spelling.in_python is _text and "=" in word:
        return repr(word)
    name, found, value = word.rpartition("=")
    if bool(found) != (spelling.argument == "entries"):
        return ""
    if not found and spelling.in_python is _text and not (subject or value.isupper()):
        return ""
    python = value if value == "..." else spelling.in_python(value)
    if spelling.argument == "entries":
        return f"{{{name!r}: {python}}}" if python else ""
    return f"({python},)" if python and spelling.argument == "elements" else python
