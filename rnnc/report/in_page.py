"""What report.html needs to run the network itself: the C as WebAssembly, what its integers mean, and the float twin."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from markupsafe import Markup

from rnnc.backend.emit import data_root
from rnnc.backend.emit.numbers import numbers, port_numbers
from rnnc.backend.program import Program
from rnnc.report.twin import CODES, Twin, Untraceable, twin
from rnnc.verification.wasm import build_wasm, missing, shown_states

EMPTY = Markup("")
SAMPLES = 32
"""An input of at least so many elements, or of one, may be samples of sound."""


@dataclass(frozen=True)
class InPage:
    """The running network of a page.

    Args:
        data: JSON for the script; "" where there is none.
        script: the page's script, "" where there is none.
        allowed: the hash of the script, for the page's Content-Security-Policy.
        packages: Debian packages that are missing, without which no network can be in the page.
        no_float: why there is no float line, "" where there is one.
        states: names of the states that are shown.
        sound: whether the input may be samples of a microphone.
    """

    data: Markup = EMPTY
    script: Markup = EMPTY
    allowed: str = ""
    packages: tuple[str, ...] = ()
    no_float: str = ""
    states: tuple[str, ...] = ()
    sound: bool = False


def in_page(program: Program, files: Mapping[str, str], hop: int) -> InPage:
    """The network for its page.

    Args:
        hop: samples from one frame to the next, 0 for as many as the input takes.
    """
    absent = missing()
    if absent:
        return InPage(packages=tuple(absent))
    try:
        found, why = twin(program.qnet.net), ""
    except Untraceable as reason:
        found, why = None, str(reason)
    script = _script()
    content = _content(program, build_wasm(program, files), found, hop)
    first = program.inputs[0]
    return InPage(
        Markup(json.dumps(content, separators=(",", ":")).replace("<", "\\u003c")),
        Markup(script),
        base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
        (),
        why,
        tuple(m.c_name for m in shown_states(program)),
        len(program.inputs) == 1 and not first.format.index and (first.size == 1 or first.size >= SAMPLES),
    )


@cache
def _script() -> str:
    return (data_root() / "templates/live.js").read_text(encoding="utf-8")


def _content(program: Program, wasm: bytes, found: Twin | None, hop: int) -> dict[str, Any]:
    return {
        "wasm": base64.b64encode(wasm).decode(),
        "inputs": [port_numbers(p) for p in program.inputs],
        "outputs": [port_numbers(p) for p in program.outputs],
        "states": [numbers(m.c_name, m.state.size, m.state.format) for m in shown_states(program)],
        "apart": program.apart,
        "hop": hop or sum(p.size for p in program.inputs),
        "twin": _twin(found) if found else None,
    }


def _twin(found: Twin) -> dict[str, Any]:
    arrays = {"code": "<i4", "lists": "<i4", "numbers": "<f8", "initial": "<f8"}
    return {
        **{name: base64.b64encode(getattr(found, name).astype(t).tobytes()).decode() for name, t in arrays.items()},
        "operations": list(CODES),
        "inputs": found.inputs,
        "outputs": [places.tolist() for places in found.outputs],
        "states": found.states.tolist(),
    }
