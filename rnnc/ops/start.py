"""Started: a recurrent layer whose initial state is computed.

The layer is the one of lstm.py, gru.py or rnn.py, or such a one on bands with a state each (inner.py). Its states are set
once, before its first tick after a reset, where they are computed from inputs that the file has once for a whole sequence.
In a file of one step they are set at every tick: the file works on its state before the layer takes it, as where an episode
starts and the state is multiplied by 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, TypeAlias, cast

import numpy as np

from rnnc.errors import Refused
from rnnc.fixed import Floats, Format, Ints, int32, multiplier
from rnnc.interval import Interval
from rnnc.net import Accept, Array, Op, Probe, Quantizer, State, States, Value, no_probe
from rnnc.ops.inner import Inner
from rnnc.ops.layout import Layout
from rnnc.ops.recurrent import RecurrentNode, narrow, upper
from rnnc.qnet import Arg, Bound, ChooseSparse, Constant, KernelCall, QOp, QState
from rnnc.tracing import InitialState, Node, Tracer

if TYPE_CHECKING:
    from rnnc.ops.gru import Gru
    from rnnc.ops.lstm import Lstm
    from rnnc.ops.rnn import Rnn

Layer: TypeAlias = "Gru | Lstm | Rnn | Inner"

FLAG = Format(8, np.ones(1), 0, 0, 1)
"""Whether a state has been set."""
SUFFIXES = ("h", "c")
LARGEST_RATIO = 2**15 - 1
"""Of an LSB of the value to one of the state: a multiplier holds less, what is above is shifted."""
MOST_LEFT = 14
"""A value coarser than that would leave the state no bits."""


@dataclass(frozen=True, eq=False)
class Started(Op):
    """A layer that starts from values of the network.

    Args:
        layer: the layer; its name, inputs and outputs become those of this op.
        given: the states that are set, "h" or "c", in the order of the inputs after the first.
        every: whether they are set at every tick; else at the first.

    Inputs: x as the layer's, then the value of each given state, of as many elements. Outputs: the layer's.
    """

    layer: Layer
    given: tuple[str, ...]
    every: bool = False
    kind: ClassVar[str] = "started"

    def __post_init__(self) -> None:
        own = replace(self.layer, name=self.name, inputs=self.inputs[:1], outputs=self.outputs, node=self.node)
        object.__setattr__(self, "layer", own)

    def infer(self, inputs: Sequence[Value]) -> list[Value]:
        return self.layer.infer(inputs[:1])

    def states(self) -> tuple[State, ...]:
        return self.layer.states()

    @property
    def overwritten(self) -> frozenset[str]:
        """The states that it sets at every tick before it reads them: nothing of the tick before is left in them."""
        return frozenset(f"{self.name}_{suffix}" for suffix in self.given if self.every)

    def step(self, inputs: Sequence[Array], state: States, tick: int, probe: Probe = no_probe) -> list[Array]:
        if tick == 0 or self.every:
            for suffix, value in zip(self.given, inputs[1:], strict=True):
                state[f"{self.name}_{suffix}"] = value.reshape(state[f"{self.name}_{suffix}"].shape)
        return self.layer.step(inputs[:1], state, tick, probe)

    def range(self, inputs: Sequence[Interval]) -> list[Interval]:
        reach = [float(i.magnitude.max(initial=0.0)) for i in inputs[1:]]
        return self._with_room(reach).range(inputs[:1])

    def accepts(self, index: int) -> Accept:
        return self.layer.accepts(index) if index == 0 else "any"

    def column_weights(self, index: int) -> Floats | None:
        return self.layer.column_weights(index) if index == 0 else None

    def accepts_int8(self, index: int) -> bool:
        return index == 0 and self.layer.accepts_int8(index)

    def _with_room(self, reach: Sequence[float]) -> Layer:
        """The layer with a hidden state that holds the magnitudes ``reach`` of what the given states start from."""
        start = dict(zip(self.given, reach, strict=True)).get("h", 0.0)
        inner = self.layer.layer if isinstance(self.layer, Inner) else self.layer
        if start <= 1:
            return self.layer
        roomy = replace(inner, initial_h=InitialState(np.full(inner.initial_h.value.size, start)))
        return replace(self.layer, layer=roomy) if isinstance(self.layer, Inner) else roomy

    def quantize(self, q: Quantizer) -> QOp:
        sources = tuple(q.input(1 + k) for k in range(len(self.given)))
        if any(f.bits == 32 for f in sources):
            raise Refused("its initial state has 32 bits", where=self.node)
        reach = [float(f.scale.max() * max(abs(f.lo - f.zero), abs(f.hi - f.zero))) for f in sources]
        if self.every:  # the values have room of their own for what calibration has not seen; the state clips it
            seen = [float(q.peak(1 + k).max(initial=0.0)) for k in range(len(sources))]
            reach = [r if p > 1 else min(r, 1.0) for r, p in zip(reach, seen, strict=True)]
        layer = self._with_room(reach).quantize(q)
        result = QStarted(self, self.inputs, layer.formats, layer, sources)
        for (suffix, target, _), source, most in zip(result.targets(), sources, reach, strict=True):
            if _left(source, target.format) > MOST_LEFT:
                what = f"its initial {suffix} reaches {most:.3g}; the state holds {target.format}"
                raise Refused(what, where=self.node)
        return result

    def describe(self) -> str:
        when = "set to" if self.every else "started from"
        return f"{self.layer.describe()}, {' and '.join(self.given)} {when} {', '.join(self.inputs[1:])}"


def _reach(source: Format) -> int:
    """The largest magnitude of an integer of the value less its zero point; an input has all that 16 bits hold."""
    if source.bits == 16:
        return source.amax + abs(source.zero_point)
    return max(abs(source.lo - source.zero_point), abs(source.hi - source.zero_point))


def _up(source: Format) -> int:
    """By how many bits a short value is shifted up, to fill 15 bits."""
    return max(0, 15 - _reach(source).bit_length())


def _ratio(source: Format, target: Format) -> Floats:
    """LSBs of the state in one of the value shifted up; a state of 8 bits is computed with 8 more fraction bits."""
    assert target.uniform
    unit = float(target.scale[0]) / (256 if target.bits == 8 else 1)
    return np.asarray(source.scale / 2.0 ** _up(source) / unit)


def _left(source: Format, target: Format) -> int:
    """By how many bits the product is shifted up where the value is much coarser than the state, once it is clipped."""
    return max(0, int(np.ceil(np.log2(_ratio(source, target).max() / LARGEST_RATIO))))


def _multiplier(source: Format, target: Format) -> tuple[Ints, Ints]:
    return multiplier(_ratio(source, target) / 2.0 ** _left(source, target))


@dataclass(frozen=True, eq=False)
class QStarted(QOp):
    """``state = clip(((x - zero) 2^up m + round) >> s) << left``, m of 15 bits, unless flagged; then the layer's integers.

    An 8-bit h is computed in 16 bits and narrowed; one that follows a wider state is made of that.
    """

    op: Started
    layer: QOp
    sources: tuple[Format, ...]

    @cached_property
    def _kept(self) -> dict[str, QState]:
        return {s.name: s for s in self.layer.states()}

    def targets(self) -> list[tuple[str, QState, QState | None]]:
        """Of each given state: its suffix, what is set, and what follows that."""
        found: list[tuple[str, QState, QState | None]] = []
        for suffix in self.op.given:
            state = self._kept[f"{self.name}_{suffix}"]
            found.append((suffix, self._kept[state.follows], state) if state.follows else (suffix, state, None))
        return found

    def states(self) -> tuple[QState, ...]:
        set_here = {s.name for _, state, follower in self.targets() for s in (state, follower) if s}
        own = [replace(s, initial=np.zeros_like(s.initial)) if s.name in set_here else s for s in self.layer.states()]
        once = () if self.op.every else self.op.given
        flags = [QState(f"{self.name}_{g}_started", (1,), FLAG, np.zeros(1, np.int64)) for g in once]
        return (*own, *flags)

    def output_state(self, index: int) -> str:
        return self.layer.output_state(index)

    @staticmethod
    def _limits(target: QState, left: int) -> tuple[int, int]:
        """What a value is clipped to before it is shifted up."""
        lo, hi = (-32767, 32767) if target.format.bits == 8 else (target.format.lo, target.format.hi)
        return -(-lo >> left), hi >> left

    def step(self, inputs: Sequence[Array], state: States, tick: int, probe: Probe = no_probe) -> list[Array] | None:
        for (suffix, target, follower), x, source in zip(self.targets(), inputs[1:], self.sources, strict=True):
            flag = state.get(f"{self.name}_{suffix}_started")
            if flag is not None and flag.any():
                continue
            m, s = _multiplier(source, target.format)
            up = (x.reshape(len(x), -1) - source.zero_point) << _up(source)
            y = int32(up * m + ((1 << s) >> 1), f"{self.name} {suffix} start") >> s
            left = _left(source, target.format)
            lo, hi = self._limits(target, left)
            y = np.clip(y, lo, hi) << left
            state[target.name] = narrow(y, target.format) if target.format.bits == 8 else y
            if follower:
                state[follower.name] = narrow(upper(y), follower.format)
            if flag is not None:
                state[f"{self.name}_{suffix}_started"] = np.ones_like(flag)
        return self.layer.step(inputs[:1], state, tick, probe)

    def without_zeros(self, choose: ChooseSparse) -> QOp:
        return replace(self, layer=self.layer.without_zeros(choose))

    def bounds(self) -> list[Bound]:
        own = []
        for (suffix, target, _), source in zip(self.targets(), self.sources, strict=True):
            m, s = _multiplier(source, target.format)
            reach = _reach(source) << _up(source)
            own.append(Bound(self.name, f"{suffix} start", int((reach * m + ((1 << s) >> 1)).max())))
        return [*own, *self.layer.bounds()]

    def calls(self) -> list[KernelCall]:
        starts = [
            self._start(1 + k, suffix, target, follower, self.sources[k])
            for k, (suffix, target, follower) in enumerate(self.targets())
        ]
        return [*starts, *self.layer.calls()]

    def _start(self, index: int, suffix: str, target: QState, follower: QState | None, source: Format) -> KernelCall:
        m, s = _multiplier(source, target.format)
        left = _left(source, target.format)
        lo, hi = self._limits(target, left)
        scale = Constant(f"{self.name}_{suffix}_start", "rnnc_scale1", np.stack([m, s], 1), "multipliers and shifts")
        fields: tuple[tuple[str, Any], ...] = (
            ("scale", scale),
            ("size", target.size),
            ("scales", len(m)),
            ("x_bits", source.bits),
            ("y_bits", target.format.bits),
            ("h_bits", follower.format.bits if follower else 0),
            ("up", _up(source)),
            ("left", left),
            ("x_zero", source.zero_point),
            ("lo", lo),
            ("hi", hi),
        )
        args = (
            Arg("input", str(index)),
            Arg("null") if self.op.every else Arg("state", f"{self.name}_{suffix}_started"),
            Arg("state", target.name),
            Arg("state", follower.name) if follower else Arg("null"),
        )
        return KernelCall("rnnc_start", "start.h", "rnnc_start_params", fields, args)

    def dequantized(self) -> Op:
        return replace(self.op, layer=cast("Layer", self.layer.dequantized()))


def give_results(node: Node, trace: Tracer, read: RecurrentNode, layer: Op) -> None:
    """Say what Y and Y_h of a node are, whose layer has been added."""
    h = layer.outputs[0]
    trace.result(node, 0, read.sequence(h))
    if len(node.outputs) > 1 and node.outputs[1]:
        if isinstance(layer, Inner) and read.along:
            moves = (layer.last_step.merged(),)
            h = trace.add(node, Layout, [h], shape=layer.last_shape, moves=moves, sources=(0,), what="last").outputs[0]
        trace.result(node, 1, read.final(h, read.width))


def add_layer(node: Node, trace: Tracer, read: RecurrentNode, make: type[Layer], outputs: int = 1, **fields: Any) -> Op:
    """Add a layer of ``make``, over ``read.x``; a ``Started`` one where its initial state is computed."""
    starts = {suffix: s for suffix, s in zip(SUFFIXES, read.initial, strict=False) if s.given}
    given = {suffix: s.given for suffix, s in starts.items()}
    every = any(s.every for s in starts.values())
    banded = read.along or read.bands > 1
    shape: dict[str, Any] = {
        "bands": read.bands,
        "count": read.count,
        "kept": not read.along,
        "bands_first": bool(read.layout),
    }
    if read.along and (given or outputs > 1):
        what = "its cell state is read" if outputs > 1 else "its initial state is computed from the network's inputs"
        trace.refuse(node, f"{what}, and it scans {read.count} elements of each frame")
    if not given and not banded:
        return trace.add(node, make, [read.x.value], outputs, **fields)
    layer: Op = make("", ("",), ("",) * outputs, **fields)
    if banded and not given:
        return trace.add(node, Inner, [read.x.value], outputs, layer=layer, **shape)
    layer = Inner("", ("",), ("",) * outputs, layer=cast("Any", layer), **shape) if banded else layer
    return trace.add(
        node, Started, [read.x.value, *given.values()], outputs, layer=layer, given=tuple(given), every=every
    )
