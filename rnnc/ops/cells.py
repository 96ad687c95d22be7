"""The integers of each recurrent unit as a text of rnnc/language.py: read as the oracle, the certificate and the C.

A text takes its preactivations in the order of its rows, its state, and numbers of each unit (peepholes); it yields what
rows multiply before it can go on, and returns h, an int16, and the new state.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from rnnc.activations import SIGMOID, TANH, IntegerActivation
from rnnc.fixed import GATE_LIMIT
from rnnc.language import (
    FINE,
    Cell,
    Quantity,
    activation,
    clip,
    let,
    long_sigmoid,
    mul15,
    mul30,
    output,
    raised,
    rounded,
    toward,
    toward30,
    upper,
)
from rnnc.unit_kernels import CKernel, Phase, kernels

Reset = Literal["own", "z", "1 - z", "none"]
CELL_MAX = 2**30
STATE_MAX = 32767 << 14
NO_CLIP = 2**30
CELL_FRACTION = 23
SIGMOID_15, TANH_15 = SIGMOID.integer(0), TANH.integer(0)
HELD = IntegerActivation("relu", 0, 0, 32767)
"""ReLU of a preactivation in h's own LSB."""


@dataclass(frozen=True, eq=False)
class Unit:
    """A text with what it is told.

    Args:
        text: ``(unit, preactivations, state, numbers) -> Cell``.
        f, g, squash: the activations of the gates, of the candidate, and of an LSTM's cell.
        clip: bound of what goes into f and g.
        state: name and exponent of the state; ("", 0) where h is all that is kept.
        limit: the largest magnitude of the state.
        coupled, projected: of an LSTM.
        numbers: exponent of each number of a unit: peepholes i o f.
        reset: what resets a GRU: a gate of its own, z, 1 - z, or nothing.
        reset_after: a GRU's reset multiplies the recurrent part of the candidate, not h.
        recurrent_limit: of a GRU's recurrent part, before the reset gate multiplies it.
        fine: the preactivations of gates have further fraction bits.
        long: what a state keeps and takes in has 30 fraction bits: of an LSTM i and 1 - f, of a GRU 1 - z.
    """

    text: Callable[[Unit, Sequence[Quantity], Quantity, Sequence[Quantity]], Cell]
    f: IntegerActivation = SIGMOID_15
    g: IntegerActivation = TANH_15
    squash: IntegerActivation = TANH_15
    clip: int = NO_CLIP
    state: tuple[str, int] = ("", 0)
    limit: int = STATE_MAX
    coupled: bool = False
    projected: bool = False
    numbers: tuple[int, ...] = ()
    reset: Reset = "own"
    reset_after: bool = True
    recurrent_limit: int = GATE_LIMIT
    fine: bool = False
    long: bool = False

    def kernels(self, phases: Sequence[Phase], library: str = "") -> list[CKernel]:
        """The C of each loop over units; ``library``: prefix of functions that a target may replace."""
        name, exponent = self.state
        state = (name, exponent, self.limit) if name else None
        return kernels(lambda p, s, numbers: self.text(self, p, s, numbers), phases, state, self.numbers, library)


def lstm(unit: Unit, p: Sequence[Quantity], c: Quantity, peepholes: Sequence[Quantity]) -> Cell:
    """Gates i o f g. Yields o h(c) where it is projected."""

    def gate(name: str, meaning: str, row: int, peephole: int, c: Quantity) -> Quantity:
        a = p[row]
        if peepholes:
            seen = rounded(mul15(peepholes[peephole], c), a.exponent)
            a = let(f"peephole_sum_{name}", f"the {meaning}'s preactivation with its peephole", a + seen)
        return let(name, meaning, activation(unit.f, clip(a, unit.clip)))

    if unit.long:
        return _long_lstm(unit, p, c)
    i = gate("i", "input gate", 0, 0, c)
    g = let("g", "candidate", activation(unit.g, clip(p[3], unit.clip)))
    f = let("f", "forget gate, 1 - i", clip(i.one_less(), 32768)) if unit.coupled else gate("f", "forget gate", 2, 2, c)
    kept = raised(mul15(f, c), c.exponent, CELL_MAX)
    total = let("cell_sum", "f c + i g", kept + rounded(i * g, c.exponent))
    c = let("cell", "the new cell", clip(total, CELL_MAX))
    o = gate("o", "output gate", 1, 1, c)
    h = o * activation(unit.squash, rounded(c, p[1].exponent))
    h = let("out", "o h(cell)", clip(rounded(h, h.exponent + 15), 32767))
    if unit.projected:
        h = let("projected", "the projection", clip((yield h), 32767))
    return h, c


def _long_lstm(unit: Unit, p: Sequence[Quantity], c: Quantity) -> tuple[Quantity, Quantity]:
    """A plain LSTM that keeps nearly all of its cell, or takes little in: f c = c - (1 - f) c."""
    i = let("i", "input gate", long_sigmoid(p[0]))
    g = let("g", "candidate", activation(unit.g, p[3]))
    lost = let("lost", "1 - f", long_sigmoid(0 - p[2]))
    kept = let("kept", "f c", toward30(c, 0, lost))
    total = let("cell_sum", "f c + i g", kept + mul30(i, raised(g, c.exponent, CELL_MAX)))
    c = let("cell", "the new cell", clip(total, CELL_MAX))
    o = let("o", "output gate", activation(unit.f, p[1]))
    h = o * activation(unit.squash, rounded(c, FINE))
    return let("out", "o h(cell)", clip(rounded(h, h.exponent + 15), 32767)), c


def gru(unit: Unit, p: Sequence[Quantity], s: Quantity, _: Sequence[Quantity]) -> Cell:
    """Rows z (r), then n over x and over h apart where the reset comes after the rows.

    Where it comes before, r h is yielded to the rows of n; where nothing resets, n is a row as z is.
    """
    lost = let("lost", "1 - z", long_sigmoid(0 - p[0])) if unit.long else None
    z = share = r = None
    if lost is None or unit.reset in ("z", "1 - z"):
        r = z = let("z", "update gate", activation(unit.f, clip(p[0], unit.clip)))
    if z and unit.reset == "1 - z":
        r = share = let("share", "1 - z", clip(z.one_less(), 32768))
    if unit.reset == "own":
        r = let("r", "reset gate", activation(unit.f, clip(p[1], unit.clip)))
    if r is None or unit.reset == "none":
        a = p[1]
    elif unit.reset_after:
        recurrent = mul15(r, clip(p[-1], unit.recurrent_limit))
        recurrent = raised(let("reset", "r times the recurrent part", recurrent), p[-1].exponent, 2**30)
        a = let("a", "the candidate's preactivation", p[-2] + recurrent)
    else:
        h = raised(let("reset", "r h", mul15(r, upper(s))), s.exponent + 14, 2**30)
        a = yield let("reset_h", "r h as an operand", clip(h, 32767))
    candidate = let("candidate", "candidate", output(unit.g, clip(a, unit.clip)))
    extended = raised(candidate, s.exponent, STATE_MAX)
    if lost:
        s = let("state", "the new state", clip(toward30(s, extended, lost), STATE_MAX))
        return let("out", "h", upper(s)), s
    assert z is not None
    share = share or let("share", "1 - z", clip(z.one_less(), 32768))
    if share.exponent > -15:
        step = raised(mul15(share, extended - s), s.exponent, 2**30)
        s = clip(let("sum", "s + (1 - z) (n - s)", s + step), STATE_MAX)
    else:
        s = toward(s, extended, share)
    s = let("state", "the new state", s)
    return let("out", "h", upper(s)), s


def rnn(unit: Unit, p: Sequence[Quantity], _: Quantity, __: Sequence[Quantity]) -> Cell:
    """One row."""
    return let("out", "h", output(unit.f, clip(p[0], unit.clip))), None
    yield  # a text is a generator


def linear(unit: Unit, p: Sequence[Quantity], _: Quantity, __: Sequence[Quantity]) -> Cell:
    """One row in h's own LSB."""
    return let("out", "h", clip(p[0], 32767)), None
    yield  # a text is a generator
