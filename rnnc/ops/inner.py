"""Inner: a recurrent layer that runs several times in a step, over bands of a frame or along an axis of it.

Bands are rows of a frame that share the layer's weights; each has a state of its own, kept from frame to frame. Along an
axis of the frame the layer starts from its initial state in every frame, and keeps nothing. The layer is the one of lstm.py,
gru.py or rnn.py: its weights are stored once, with one set of formats, and the C calls its kernel in a loop.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar, Literal, TypeAlias, cast

import numpy as np

from rnnc.fixed import Floats
from rnnc.interval import Interval
from rnnc.net import Accept, Array, Op, Probe, Quantizer, State, States, Value, no_probe
from rnnc.ops.layout import Move
from rnnc.qnet import Arg, Bound, Constant, KernelCall, Operand, QOp, QState, Scratch

if TYPE_CHECKING:
    from rnnc.ops.gru import Gru
    from rnnc.ops.lstm import Lstm
    from rnnc.ops.rnn import Rnn

Layer: TypeAlias = "Gru | Lstm | Rnn"
MOST_SAMPLES = 8192
"""Of the layer's operands in calibration, of all turns together."""


@dataclass(frozen=True, eq=False)
class Inner(Op):
    """A layer inside a frame.

    Args:
        layer: the layer, whose initial states are ``[bands * size]``; its name becomes that of this op.
        bands: rows of a frame that the layer runs on side by side.
        count: steps that it takes in each frame.
        kept: whether its states are kept from frame to frame; then ``count`` is 1.
        bands_first: whether the values are ``[bands, count, elements]``, not ``[count, bands, elements]``.

    Inputs: x, ``columns`` elements of each step and band. Outputs: h, ``width`` elements of each; where states are kept also
    the cell of an LSTM, of each band.
    """

    layer: Layer
    bands: int
    count: int
    kept: bool
    bands_first: bool = False
    kind: ClassVar[str] = "inner"

    def __post_init__(self) -> None:
        assert self.count == 1 or not self.kept, self.name
        own = replace(self.layer, name=self.name, inputs=self.inputs, outputs=self.outputs, node=self.node)
        object.__setattr__(self, "layer", own)

    @property
    def turns(self) -> int:
        """How often the layer runs in a frame."""
        return self.bands * self.count

    @property
    def outer(self) -> tuple[int, int]:
        """The axes of a value before the elements of a turn."""
        return (self.bands, self.count) if self.bands_first else (self.count, self.bands)

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the output."""
        return tuple(n for n in (*self.outer, self.layer.width) if n > 1)

    @property
    def last_shape(self) -> tuple[int, ...]:
        """Of h after the last step of every band."""
        return tuple(n for n in (self.bands, self.layer.width) if n > 1)

    @property
    def last_step(self) -> Move:
        """What takes h after the last step out of the output."""
        width = self.layer.width
        step, band = (width, self.count * width) if self.bands_first else (self.bands * width, width)
        return Move((self.bands, width), (band, 1), (width, 1), from_offset=(self.count - 1) * step)

    def infer(self, inputs: Sequence[Value]) -> list[Value]:
        assert inputs[0].size == self.turns * self.layer.columns, f"{self.name}: {inputs[0].shape}"
        h = Value("", self.shape, clock=inputs[0].clock)
        cells = [s.shape for s in self.layer.states()[1 : len(self.outputs)]]
        return [h, *(replace(h, shape=(self.bands, int(np.prod(shape)) // self.bands)) for shape in cells)]

    def states(self) -> tuple[State, ...]:
        return self.layer.states() if self.kept else ()

    def step(self, inputs: Sequence[Array], state: States, tick: int, probe: Probe = no_probe) -> list[Array]:
        starts = {s.name: s.initial for s in self.layer.states()}
        y = self.run(self.layer, inputs[0], state if self.kept else starts, probe)
        return [y, *(state[s.name] for s in self.layer.states()[1 : len(self.outputs)])]

    def run(self, layer: Op | QOp, x: Array, state: States, probe: Probe = no_probe) -> Array:
        """Run the layer, in real numbers or in integers, over frames; update ``state`` where it is kept.

        Args:
            x: ``[..., frame]``.
            state: of each state of the layer, ``[frames, bands * size]`` where it is kept, else what every frame starts from.
        """
        frames = x.size // (self.turns * self.layer.columns)
        lead = x.shape[: 1 if self.kept else 2]
        steps = x.reshape(frames, *self.outer, self.layer.columns)
        in_turn = np.moveaxis(steps, 2 if self.bands_first else 1, 0).reshape(self.count, -1, self.layer.columns)
        each = {k: self._each(np.asarray(state[k]), frames, x.dtype) for k in (s.name for s in layer.states())}
        seen: dict[str, list[Array]] = {}
        results = []
        for frame in in_turn:
            found = layer.step([frame], each, 0, lambda key, value: seen.setdefault(key, []).append(value))
            assert found is not None
            results.append(found[0])
        for key, values in seen.items():
            probe(key, np.stack(values).swapaxes(0, 1).reshape(*lead, -1))
        if self.kept:
            state.update({k: s.reshape(frames, -1) for k, s in each.items()})
        y = np.stack(results).reshape(self.count, frames, self.bands, self.layer.width)
        return np.moveaxis(y, 0, 2 if self.bands_first else 1).reshape(*lead, -1)

    def _each(self, state: Array, frames: int, dtype: np.dtype[np.generic]) -> Array:
        """A state as ``[frames * bands, size]``."""
        whole = np.broadcast_to(state.reshape(-1 if self.kept else 1, state.shape[-1]), (frames, state.shape[-1]))
        return whole.reshape(frames * self.bands, -1).astype(dtype)

    def range(self, inputs: Sequence[Interval]) -> list[Interval]:
        lo, hi = (side.reshape(self.turns, -1) for side in (inputs[0].lo, inputs[0].hi))
        ends = self.layer.range([Interval(lo.min(0), hi.max(0))])
        return [Interval(np.tile(end.lo, self.turns), np.tile(end.hi, self.turns)) for end in ends]

    def accepts(self, index: int) -> Accept:
        return "common"

    def accepts_int8(self, index: int) -> bool:
        return self.layer.accepts_int8(index)

    def less(self, offsets: Sequence[Floats]) -> tuple[Op, Floats | None] | None:
        each = offsets[0].reshape(self.turns, -1)
        if not np.array_equal(each, np.broadcast_to(each[:1], each.shape)):
            return None
        layer, reduced = self.layer.less([each[0]])
        return replace(self, layer=cast("Layer", layer)), reduced

    def quantize(self, q: Quantizer) -> QOp:
        layer = self.layer.quantize(q.in_turns(self.turns))
        return QInner(self, self.inputs, layer.formats, layer)

    def describe(self) -> str:
        layer = self.layer.describe()
        if self.kept:
            return f"{layer}, on {self.bands} bands with a state each"
        bands = f", on {self.bands} bands" if self.bands > 1 else ""
        return f"{layer}, along {self.count} elements of a frame{bands}"


def of_one_turn(samples: Floats, turns: int) -> Floats:
    """Samples ``[n, turns * elements]`` of a frame as samples ``[m, elements]`` of one turn after the other."""
    each = samples.reshape(len(samples) * turns, -1)
    return each[:: -(-len(each) // MOST_SAMPLES)]


@dataclass(frozen=True, eq=False)
class QInner(QOp):
    """The layer's integers, in loops. Along an axis h is scratch, and copied to the output after each step."""

    op: Inner
    layer: QOp

    def states(self) -> tuple[QState, ...]:
        return self.layer.states() if self.op.kept else ()

    def output_state(self, index: int) -> str:
        return self.layer.output_state(index) if self.op.kept else ""

    def step(self, inputs: Sequence[Array], state: States, tick: int, probe: Probe = no_probe) -> list[Array]:
        starts = {s.name: s.initial for s in self.layer.states()}
        y = self.op.run(self.layer, inputs[0], state if self.op.kept else starts)
        return [y, *(state[self.output_state(k)] for k in range(1, len(self.outputs)))]

    def bounds(self) -> list[Bound]:
        return self.layer.bounds()

    def dequantized(self) -> Op:
        return replace(self.op, layer=cast("Layer", self.layer.dequantized()))

    # ----------------------------------------------------------------------- the C

    def calls(self) -> list[KernelCall]:
        turns = [self._turn(call) for call in self.layer.calls()]
        if self.op.kept:
            return turns
        starts = [self._start(s) for s in self.layer.states()]
        return [*starts, *turns, *([self._give()] if self.layer.output_state(0) else [])]

    @property
    def _times(self) -> tuple[int, ...]:
        """The loops: steps, and in each step bands; none of one turn."""
        return tuple(n for n in (self.op.count, self.op.bands) if n > 1)

    def _strides(self, elements: int, *, of_state: bool = False) -> tuple[int, ...]:
        """How far a pointer to ``elements`` of a turn moves at each turn of the loops."""
        op = self.op
        step, band = (elements, op.count * elements) if op.bands_first else (op.bands * elements, elements)
        both = (op.count, 0 if of_state else step), (op.bands, elements if of_state else band)
        return tuple(stride for n, stride in both if n > 1)

    def _turn(self, call: KernelCall) -> KernelCall:
        args = tuple(map(self._moving, call.args))
        scratch = call.scratch if self.op.kept else (*call.scratch, *self._scratch)
        return replace(call, args=args, scratch=scratch, macs=call.macs * self.op.turns, times=self._times)

    def _moving(self, arg: Arg) -> Arg:
        """An argument of the layer's call as one that follows the loops."""
        if arg.place == "input":
            return replace(arg, strides=self._strides(self.op.layer.columns))
        if arg.place == "output":
            return replace(arg, strides=self._strides(self.op.layer.width))
        if arg.place == "state":
            size = next(s.size for s in self.layer.states() if s.name == arg.name)
            place: Literal["state", "scratch"] = "state" if self.op.kept else "scratch"
            return Arg(place, arg.name, self._strides(size // self.op.bands, of_state=True))
        return arg

    @property
    def _scratch(self) -> tuple[Scratch | Operand, ...]:
        """The states where they are not kept."""
        return tuple(Scratch(s.name, s.format.ctype, s.size) for s in self.layer.states())

    def _start(self, state: QState) -> KernelCall:
        """Set a state to what every frame starts from."""
        first, same = int(state.initial.flat[0]), bool(np.all(state.initial == state.initial.flat[0]))
        fields = (("size", state.size), ("bits", state.format.bits), ("value", first))
        args = (Arg("scratch", state.name),)
        if same:
            return KernelCall("rnnc_fill", "fill.h", "rnnc_fill_params", fields, args, self._scratch)
        initial = Constant(f"{state.name}_initial", "int32_t", state.initial.ravel(), "what every frame starts from")
        return KernelCall(
            "rnnc_inner_start", "inner.h", "rnnc_inner_params", (("initial", initial), *fields[:2]), args, self._scratch
        )

    def _give(self) -> KernelCall:
        """Copy h to its place in the output."""
        h = self.layer.output_state(0)
        fields = (("initial", 0), ("size", self.op.layer.width), ("bits", self.formats[0].bits))
        args = tuple(map(self._moving, (Arg("state", h), Arg("output", "0"))))
        return KernelCall(
            "rnnc_inner_give", "inner.h", "rnnc_inner_params", fields, args, self._scratch, times=self._times
        )
