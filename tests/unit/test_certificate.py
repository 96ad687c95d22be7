"""The certificate against the oracle: what each op asserts, on the worst integers that can be found for it.

Every bound must hold what was reached, and for each accumulator of each op some layer must reach more than half of its bound:
one that is understated by half, in any op, fails here by its name.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pytest

from rnnc import fixed
from rnnc.qnet import Bound, QNet, QOp, QState
from tests.support.nets import LAYERS, NAMED, draw_integers

Array = np.ndarray[Any, Any]
STARTS, ROUNDS, ELEMENTS = 48, 2, 4
LAYERS_OF_A_KIND = 11


@dataclass
class Search:
    """The largest magnitude of everything that one op's step asserts, over its inputs and states.

    Args:
        reached: by accumulator.
    """

    qnet: QNet
    op: QOp
    seen: dict[str, list[Array]]
    rng: np.random.Generator
    reached: dict[str, int] = field(default_factory=lambda: defaultdict(int))

    def __post_init__(self) -> None:
        net = {v.name for v in self.qnet.inputs}
        limits = []
        for name in self.op.inputs:
            f = self.qnet.formats[name]
            lo, hi = (-32768, 32767) if name in net and not f.index and f.bits == 16 else (f.lo, f.hi)
            limits.append((lo, hi, self.qnet.values[name].size))
        limits += [(s.format.lo, s.format.hi, s.size) for s in self._free()]
        self.lo, self.hi = (np.repeat([x[k] for x in limits], [x[2] for x in limits]) for k in (0, 1))

    def _free(self) -> list[QState]:
        """States that may hold any number of their format; counters and flags, which are not below 0 and short, do not."""
        return [s for s in self.op.states() if (s.format.lo < 0 or s.format.bits == 32) and not s.follows]

    def _run(self, points: Array) -> dict[str, Array]:
        """What is asserted, by accumulator, for each of ``points [lanes, variables]``: ``[lanes, elements]``."""
        lanes, at = len(points), 0
        state = {s.name: np.repeat(s.initial.reshape(1, *s.shape), lanes, 0) for s in self.op.states()}
        inputs = []
        for name in self.op.inputs:
            v = self.qnet.values[name]
            x = points[:, at : at + v.size].reshape(lanes, *v.shape)
            inputs.append(x if state else x[None])
            at += v.size
        for s in self._free():
            state[s.name] = points[:, at : at + s.size].reshape(lanes, *s.shape)
            at += s.size
        for s in self.op.states():
            if s.follows:
                h = np.clip((state[s.follows] + 8192) >> 14, -32767, 32767)
                state[s.name] = h if s.format.bits == 16 else np.clip((h + 128) >> 8, -128, 127)
        self.seen.clear()
        self.op.step(inputs, state, 0)
        found = {}
        for what, arrays in self.seen.items():
            name = what.removeprefix(self.op.name).lstrip(" .")
            parts = [a.reshape(lanes, -1) for a in arrays if a.size and a.size % lanes == 0]
            if parts:
                found[name] = np.concatenate(parts, 1)
                self.reached[name] = max(self.reached[name], int(np.abs(found[name]).max()))
        return found

    def climb(self) -> None:
        """From random points uphill, every variable at an end or at 0, for the largest elements of each."""
        choice = self.rng.integers(0, 4, (STARTS, self.lo.size))
        points = np.select([choice == 0, choice == 1], [self.lo, self.hi], self.rng.integers(self.lo, self.hi + 1))
        equal = np.exp2(self.rng.uniform(0, 15, (STARTS // 2, 1))) * self.rng.choice(
            [-1, 1], (STARTS // 2, self.lo.size)
        )
        points[::2] = np.clip(equal.astype(np.int64), self.lo, self.hi)
        start = self._run(points)
        for name in {b.accumulator for b in self.op.bounds()} & start.keys():
            best = np.abs(start[name]).max(0)
            for element in np.argsort(best)[::-1][:ELEMENTS]:
                lane = int(np.abs(start[name][:, element]).argmax())
                self._ascend(name, int(element), points[lane], int(np.sign(start[name][lane, element])) or 1)

    def _ascend(self, name: str, element: int, point: Array, sign: int) -> None:
        ends = np.stack([self.lo, self.hi, np.clip(0, self.lo, self.hi)])
        each = np.arange(len(point))
        for _ in range(ROUNDS):
            tried = np.repeat(point[None, None], 3, 0).repeat(len(point), 1)
            tried[:, each, each] = ends
            found = self._run(tried.reshape(-1, len(point))).get(name)
            if found is None or element >= found.shape[1]:
                return
            score = (found[:, element] * sign).reshape(3, -1)
            point = ends[score.argmax(0), each]


def layers() -> Iterator[QNet]:
    """Some of each kind, small."""
    for name in (*LAYERS, *NAMED):
        for seed in range(LAYERS_OF_A_KIND):
            yield draw_integers(seed, (name,))


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> dict[str, list[Array]]:
    """What ``fixed.fits`` is asked, by what is said to it."""
    arrays: dict[str, list[Array]] = defaultdict(list)
    check = fixed.fits

    def recorded(x: Array, lo: int, hi: int, what: str) -> Array:
        arrays[what].append(np.asarray(x))
        return check(x, lo, hi, what)

    monkeypatch.setattr(fixed, "fits", recorded)
    monkeypatch.setattr(fixed, "FEW", -1)  # none of them together
    return arrays


def with_bounds(kind: type[QOp]) -> Iterator[str]:
    """The classes of ops in integers that bound an accumulator."""
    for sub in kind.__subclasses__():
        if sub.__module__.startswith("rnnc.ops") and "bounds" in vars(sub):
            yield sub.__name__
        yield from with_bounds(sub)


def held(qnet: QNet, op: QOp, seen: dict[str, list[Array]], bounds: list[Bound]) -> dict[tuple[str, str], float]:
    """What share of each bound is reached; AssertionError, which names op and accumulator, where it is more than all."""
    search, kind = Search(qnet, op, seen, np.random.default_rng(0)), type(op).__name__
    if bounds:
        search.climb()
    share = {}
    for b in bounds:
        reached = search.reached[b.accumulator]
        what = f"{kind}, {op.op.describe()}: {b.accumulator} reaches {reached}, its bound is {b.worst}"
        assert reached <= b.worst < 1 << (b.bits - 1), what
        share[kind, b.accumulator] = reached / max(b.worst, 1)
    return share


INSIDE_FRAMES = "QInner"
"""Its bounds are its layer's (test_op_inner.py), of an endless stream: a few steps in each frame do not add up as far."""


def test_every_bound_holds_and_none_could_be_half(seen: dict[str, list[Array]]) -> None:
    share: dict[tuple[str, str], float] = defaultdict(float)
    for qnet in layers():
        for op in qnet.ops:
            for where, reached in held(qnet, op, seen, op.bounds()).items():
                share[where] = max(share[where], reached)
    loose = {where: s for where, s in share.items() if s <= 0.5 and where[0] != INSIDE_FRAMES}
    assert loose == {}, "half of these bounds would hold as well"
    ops: Any = QOp
    assert set(with_bounds(ops)) - {kind for kind, _ in share} == set(), "bounds that nothing was held against"


@pytest.mark.parametrize("accumulator", ["gates.x", "gates.sum", "cell_sum", "projection.product", "out"])
def test_a_bound_that_is_understated_is_named(accumulator: str, seen: dict[str, list[Array]]) -> None:
    qnet = draw_integers(1, ("lstm_general",))
    (op,) = qnet.ops
    bounds = [replace(b, worst=b.worst // 2) if b.accumulator == accumulator else b for b in op.bounds()]
    with pytest.raises(AssertionError, match=f"QRecurrent, LSTM.*: {accumulator} reaches"):
        held(qnet, op, seen, bounds)
