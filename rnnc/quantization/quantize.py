"""Net to QNet: decide every format, insert Requantize where an op cannot take its producer's, and quantize op by op."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np

from rnnc.errors import Refused
from rnnc.fixed import GATE, HIDDEN, LOGIT, Floats, Format, OverflowInOracle
from rnnc.net import Accept, Feedback, Net, Op, Quantizer, Value
from rnnc.ops.extended import extended_copy, extended_format, is_extended
from rnnc.ops.inner import of_one_turn
from rnnc.ops.requantize import QRequantize, Requantize
from rnnc.options import Options
from rnnc.qnet import QFeedback, QNet, QOp, QState
from rnnc.quantization.balance import balanced_scale
from rnnc.quantization.calibrate import Ranges
from rnnc.quantization.counts import check_counts, check_states
from rnnc.quantization.extend import MOVING, extended_values, moved_values, totals
from rnnc.quantization.fed_back import SMALLEST_STATE, STATE_HEADROOM, made_for_state, unlike_state
from rnnc.quantization.formats import by_axis, representable, same, satisfies
from rnnc.quantization.heads import OUTPUT_HEADROOM, UNLIKE, Heads
from rnnc.quantization.inputs import AT_REST
from rnnc.quantization.packed import FINEST_COPY, line_scales
from rnnc.quantization.remembered import remembered_form, start_within
from rnnc.quantization.wide_rows import IsWide, Parts, RowQuantizer, as_named
from rnnc.rows import Block

GATE_BOUND = 1024.0
"""A product of rows whose value can pass this in real units does not fit int32 at 12 fraction bits."""
INNER_HEADROOM, INNER_FLOOR = 4.0, 1 / 64
NOISE_HEADROOM = 8.0
A8_HEADROOM, A8_FLOOR = 1.5, 1 / 8
EXTENDED_HEADROOM = 8.0
"""An extended value has bits to spare: a counter goes on when the calibration ends."""
WHOLE = 2.0**10
"""An extended value has room for all that the graph's own limits allow where that is so many times what it reaches."""
FINEST_ELEMENT = 2.0**-24
"""Of the largest element: the least room of one in an extended value, however little it moved."""
STILL = (
    "What it computes hardly moves in the calibration data, far less than what it is computed from: "
    "--calib DATA with typical recordings, or leave the layer out."
)
HALF, WIDEST = 2**14, 2**15
"""LSBs of an int32 in one of its upper half; ratios of two scales that a requantization's multiplier cannot hold."""
PREACTIVATIONS: set[Accept] = {"gate", "logit", "order"}
"""What takes int32 with 12 fraction bits."""


def quantize(
    net: Net,
    ranges: Ranges,
    options: Options,
    jitter: int = 0,
    is_wide: IsWide | None = None,
    fine: frozenset[str] = frozenset(),
) -> QNet:
    """The same ops in integers (the arithmetic is in docs/numerics.md).

    Args:
        jitter: seed of a random stretch of the row scales by up to 8 %, 0 for none.
        is_wide: which blocks of weights are int16, by name; None for those that the options name.
        fine: layers whose preactivations have further fraction bits, where they have such a form.

    Raises Refused where a weight or a range cannot be represented.
    """
    return _Builder(net, ranges, options, RowQuantizer(is_wide or as_named(options), jitter, fine=fine)).build()


def requantized(qnet: QNet, ranges: Ranges, options: Options, name: str, rows: RowQuantizer) -> QOp:
    """One op of a network, quantized again, its rows by ``rows``; all formats are as they are."""
    q = next(q for q in qnet.ops if q.name == name)
    builder = _Builder(qnet.net, ranges, options, rows, dict(qnet.formats), dict(qnet.values))
    return replace(q.op.quantize(_OpQuantizer(builder, q.op, list(q.inputs))), inputs=q.inputs)


@dataclass
class _Builder:
    net: Net
    ranges: Ranges
    options: Options
    rows: RowQuantizer
    extended: set[str] = field(init=False)
    moved: dict[str, str] = field(init=False)
    totals: set[str] = field(init=False)
    lines: dict[str, Floats] = field(init=False)
    heads: Heads = field(init=False)
    formats: dict[str, Format] = field(default_factory=dict)
    values: dict[str, Value] = field(default_factory=dict)
    ops: list[QOp] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.extended = extended_values(self.net)
        self.moved = moved_values(self.net)
        self.totals = totals(self.net)
        headroom = INNER_HEADROOM if self.ranges.measured else NOISE_HEADROOM
        self.lines = line_scales(self.net, self.ranges, headroom)
        self.heads = Heads(self.net, self.ranges, self.options)

    def build(self) -> QNet:
        net = self.net
        check_counts(net)
        self.formats.update(self.ranges.inputs)
        self.values.update(net.values)
        states = {f.state.name: self._feedback_state(f) for f in net.feedback}
        for name, state in states.items():
            self.formats[name] = state.format
        for op in net.ops:
            adapted = [self._adapt(op, i, name) for i, name in enumerate(op.inputs)]
            if op.kind == "putat":
                adapted[1] = self._convert(adapted[1], self.formats[adapted[0]], f"{adapted[1]}.{op.name}")
            try:
                q = replace(op.quantize(_OpQuantizer(self, op, adapted)), inputs=tuple(adapted))
                check_states(q)
                q.bounds()
            except Refused as error:
                error.where = error.where or f"{op.name}, {op.describe()}"
                raise
            except OverflowInOracle as error:
                raise Refused(str(error), where=f"{op.name}, {op.describe()}", hint=STILL) from error
            self.ops.append(q)
            self.formats.update(zip(op.outputs, q.formats, strict=True))
        feedback = []
        for f in net.feedback:
            state = states[f.state.name]
            feedback.append(QFeedback(state, self._convert(f.next, state.format, f"{f.state.name}_next")))
        ops, blocks = tuple(self.ops), self.rows.blocks
        return QNet(net, self.options.profile, ops, net.outputs, tuple(feedback), self.formats, self.values, blocks)

    def _feedback_state(self, feedback: Feedback) -> QState:
        state = feedback.state
        bound = float(self.ranges.bounds[feedback.next].magnitude.max(initial=0.0))
        limit = max(min(bound, self.state_limit(state.name)), float(np.abs(state.initial).max(initial=0.0)), 1e-6)
        if state.name in self.lines:
            form = Format(16, self.lines[state.name])
        elif feedback.next in self.extended:
            form = self.extended_form(feedback.next, self._by_element(feedback.next))
        elif (known := remembered_form(self.net, self.ranges, feedback)) is not None:
            form = known
        elif (unlike := unlike_state(self.net, self.ranges, feedback)) is not None:
            form = unlike
        else:
            form = HIDDEN if bound == 1 and limit <= 1 else Format(16, np.array([limit / 32767]))
        first = form.quantize(start_within(form, state.initial))
        return QState(state.name, state.shape, form, first, state.alias, state.window)

    def extended_form(self, name: str, by_element: bool = False) -> Format:
        """Room for an extended value, and for the states that it is the next value of; with an LSB for each element where that
        is possible and their ranges are unlike: none may wait for its first step in another's."""
        passed = self.net.passed(name)
        states = [f.state for f in self.net.feedback if f.next in passed or name in self.net.passed(f.next)]
        starts = [np.abs(s.initial).ravel() for s in states]
        reach = np.maximum.reduce([self.ranges.reach(n) for n in (name, *(s.name for s in states))])
        bound = self.ranges.bounds[name].magnitude
        seen = np.minimum(EXTENDED_HEADROOM * reach, bound)
        limit = np.maximum.reduce([np.where(bound <= WHOLE * reach, bound, seen), *starts])
        largest = max(float(limit.max(initial=0.0)), SMALLEST_STATE)
        limit = np.where(reach > 0, np.maximum(limit, max(largest * FINEST_ELEMENT, SMALLEST_STATE)), largest)
        unlike = by_element and largest > UNLIKE * float(limit.min())
        return extended_format(limit if unlike else largest)

    def _by_element(self, name: str) -> bool:
        """Whether the op that computes a value can give it an LSB for each element."""
        return any(name in op.outputs and op.by_element for op in self.net.ops)

    def state_limit(self, name: str) -> float:
        """Room for a state that nothing bounds, in real units."""
        if self.ranges.measured:
            return max(SMALLEST_STATE, STATE_HEADROOM * float(self.ranges.peaks[name].max()))
        return max(SMALLEST_STATE, NOISE_HEADROOM * float(self.ranges.reach(name).max()))

    def _adapt(self, op: Op, index: int, name: str) -> str:
        """The input, or a requantized copy that the op can take."""
        have, accept = self.formats[name], op.accepts(index)
        if is_extended(have):
            return self._adapt_extended(op, index, name)
        if have.bits == 32 and not satisfies(have, "gate", ()) and accept not in PREACTIVATIONS:
            return name if op.passes else self._adapt(op, index, self._convert(name, self._cell(name), f"{name}.int16"))
        if op.kind == "layout" and op.outputs[0] in self.extended:
            return self._convert(name, self.extended_form(op.inputs[index]), f"{name}.extended")
        if op.kind == "layout" and op.outputs[0] in self.lines and op.inputs[index] in self.lines:
            return self._convert(name, Format(16, self.lines[op.inputs[index]]), f"{name}.kept")
        if op.kind in MOVING and op.outputs[0] in self.moved and not have.index:
            state = self.moved[op.outputs[0]]
            return self._convert(name, self.formats[state], f"{name}.{state}")
        if satisfies(have, accept, self.values[name].shape):
            return self._balanced(op, index, name)
        return self._convert(name, self._acceptable(name, accept), f"{name}.{accept}")

    def _adapt_extended(self, op: Op, index: int, name: str) -> str:
        """An extended value as it is for what needs all its bits; else as a preactivation or int16."""
        have, accept = self.formats[name], op.accepts(index)
        if op.passes or op.reads_extended or op.outputs[0] in self.extended:
            taken = have.uniform or op.passes or op.by_element
            if taken and satisfies(have, accept, self.values[name].shape):
                return name
            return self._convert(name, replace(have, scale=have.scale.max()), f"{name}.common")
        if accept in ("gate", "logit"):
            return self._convert(name, self._acceptable(name, accept), f"{name}.{accept}")
        fresh = f"{name}.int16" if accept == "any" else f"{name}.int16.{accept}"
        return self._adapt(op, index, self._convert(name, self._narrowed(op.inputs[index], name, accept), fresh))

    def _narrowed(self, source: str, name: str, accept: Accept) -> Format:
        """The int16 format of an extended value, by element where that is accepted; ``source``: its name in the net."""
        have, shape = self.formats[name], self.values[name].shape
        kept = any(source in (f.state.name, *self.net.passed(f.next)) for f in self.net.feedback)
        kept = kept or any(source in op.outputs and op.states() for op in self.net.ops)
        seen = EXTENDED_HEADROOM if source in self.totals else STATE_HEADROOM if kept else INNER_HEADROOM
        headroom = seen if self.ranges.measured else NOISE_HEADROOM
        reach = headroom * self.ranges.kept(source)
        held = have.scale_for(reach.size) * have.hi
        limit = np.minimum(np.maximum(reach, max(float(reach.max(initial=0.0)) * FINEST_COPY, SMALLEST_STATE)), held)
        if accept == "channel":
            limit = np.repeat(limit.reshape(shape[0], -1).max(1), limit.size // shape[0])
        return Format(16, (limit if accept in ("any", "channel") else limit.max()) / 32767)

    def _cell(self, name: str) -> Format:
        """Of a layer's own state that is read elsewhere, the cell of an LSTM: 16 bits over what it reaches."""
        have, peaks = self.formats[name], self.ranges.peaks[name]
        headroom = INNER_HEADROOM if self.ranges.measured else NOISE_HEADROOM
        reach = float((have.scale * have.amax).max())
        return Format(16, np.array([min(reach, max(headroom * float(peaks.max(initial=0.0)), SMALLEST_STATE)) / 32767]))

    def _balanced(self, op: Op, index: int, name: str) -> str:
        """The input, or a copy with coarser LSBs where that leaves the op's weights more of their levels."""
        have, weights = self.formats[name], op.column_weights(index)
        if weights is None or have.bits != 16 or have.index or not self.ranges.measured:
            return name
        spread = self.ranges.samples[op.inputs[index]].std(0)
        scale = balanced_scale(weights, have.scale_for(weights.shape[1]), spread)
        return name if scale is None else self._convert(name, Format(16, scale), f"{name}.{op.name}")

    def _acceptable(self, name: str, accept: Accept) -> Format:
        have, shape = self.formats[name], self.values[name].shape
        if accept == "gate":
            return GATE
        if accept == "logit":
            return LOGIT
        if accept == "channel":
            per_channel = have.scale_for(self.values[name].size).reshape(shape[0], -1).max(1)
            return replace(have, scale=np.repeat(per_channel, self.values[name].size // shape[0]))
        return replace(have, scale=have.scale.max())

    def _convert(self, name: str, form: Format, fresh: str) -> str:
        if same(self.formats[name], form):
            return name
        if fresh not in self.formats:
            value, have = self.values[name], self.formats[name]
            op = Requantize(f"requantize{sum(q.op.kind == 'requantize' for q in self.ops)}", (name,), (fresh,))
            if is_extended(have) or is_extended(form):
                copy: QOp = extended_copy(op, (name,), have, np.ones(value.shape), form)
                return self._copied(copy, value, fresh)
            ratios = have.scale_for(value.size) / form.scale_for(value.size)
            if not ratios.max() * (HALF if have.bits == 32 else 1) < WIDEST:
                reach = float((have.scale * have.amax).max())
                raise Refused(
                    f"value {name!r} can reach {reach:.3g}; what reads it takes {form}", hint="Are all weights sound?"
                )
            self._copied(QRequantize(op, (name,), (form,), have, value.size), value, fresh)
        return fresh

    def _copied(self, copy: QOp, value: Value, fresh: str) -> str:
        """Add what makes a copy of a value under the name ``fresh``."""
        self.ops.append(copy)
        self.formats[fresh], self.values[fresh] = copy.formats[0], replace(value, name=fresh)
        return fresh


@dataclass
class _OpQuantizer:
    """``net.Quantizer`` for one op."""

    builder: _Builder
    op: Op
    inputs: list[str]
    turns: int = 1

    def in_turns(self, turns: int) -> Quantizer:
        return replace(self, turns=turns)

    @property
    def precision(self) -> Literal["a16", "a8"]:
        return self.builder.options.precision_of(self.op.name)

    def input(self, index: int) -> Format:
        return self.builder.formats[self.inputs[index]]

    def samples(self, operand: str | int) -> Floats | None:
        ranges = self.builder.ranges
        found = ranges.samples.get(self._key(operand)) if ranges.measured else None
        return found if found is None or self.turns == 1 else of_one_turn(found, self.turns)

    def peak(self, operand: str | int) -> Floats:
        return np.asarray(self.builder.ranges.peaks[self._key(operand)].reshape(self.turns, -1).max(0))

    def state_limit(self, operand: str) -> float:
        return self.builder.state_limit(self._key(operand))

    def extended(self) -> Format | None:
        name = self.op.outputs[0]
        return self.builder.extended_form(name, self.op.by_element) if name in self.builder.extended else None

    def wants8(self, index: int = 0) -> bool:
        readers = list(self._readers(index))
        options = self.builder.options
        int8 = bool(readers) and all(op.accepts_int8(i) and options.precision_of(op.name) == "a8" for op, i in readers)
        return self.precision == "a8" and int8 and not self._is_output(index)

    def output(
        self,
        index: int = 0,
        *,
        axis: int | None = 0,
        rows: bool = False,
        int32: bool = False,
        nonnegative: bool = False,
        reach: float | Floats = 0.0,
    ) -> Format:
        name = self.op.outputs[index]
        wanted = {op.accepts(i) for op, i in self._readers(index)}
        each = np.asarray(reach if np.any(reach) else self.builder.ranges.bounds[name].magnitude + 1e-9)
        bound = float(each.max())
        preactivation = bool(wanted) and wanted <= PREACTIVATIONS and not self._is_output(index)
        if preactivation and (int32 or (rows and bound < GATE_BOUND)):
            return GATE if wanted == {"gate"} else LOGIT
        common = bool(wanted & {"common", *PREACTIVATIONS})
        head = self.builder.heads.format(name, each if rows else np.full(1, np.inf), common=common)
        if head:
            value = self.builder.net.values[name]
            return replace(head, scale=by_axis(head.scale_for(value.size), value.shape, axis))
        builder = self.builder
        made = made_for_state(builder.net, builder.ranges, name, builder.extended, each) if rows else None
        if made:
            return made
        if self._is_output(index):
            limit = self._limit(name, OUTPUT_HEADROOM, 1.0)
            return Format(16, np.array([representable(limit.max(), bound if rows else np.inf) / 32767]))
        narrow = rows and self.precision == "a8" and not wanted & PREACTIVATIONS
        limit = self._limit(name, A8_HEADROOM, A8_FLOOR) if narrow else self._inner_limit(name)
        limit = representable(limit, each if rows else np.inf)
        limit = by_axis(limit, self.builder.values[name].shape, None if common else axis)
        if narrow and nonnegative:
            return Format(8, limit / 255, -128, -128, 127)
        return Format(8, limit / 127, 0, -127, 127) if narrow else Format(16, limit / 32767)

    @property
    def fine(self) -> bool:
        return self.op.name in self.builder.rows.fine

    def wide_table(self, weights: int) -> bool:
        return self.builder.rows.note(self.op.name, weights)

    def round_rows(
        self,
        parts: Parts,
        target: Floats,
        bias: Floats,
        zero: float,
        gates: Sequence[str] = ("",),
        group: int = 0,
    ) -> tuple[list[Block], Floats]:
        operands = "xh" if len(parts) > 1 else ("",)
        names = [[".".join(filter(None, (self.op.name, gate, o))) for gate in gates] for o in operands]
        return self.builder.rows.round(names, parts, target, bias, zero, group)

    def _key(self, operand: str | int) -> str:
        return self.op.inputs[operand] if isinstance(operand, int) else f"{self.op.name}.{operand}"

    def _readers(self, index: int) -> Iterator[tuple[Op, int]]:
        yield from self.builder.net.readers(self.op.outputs[index])

    def _is_output(self, index: int) -> bool:
        net = self.builder.net
        names = net.passed(self.op.outputs[index])
        return any(o.value in names for o in net.outputs) or any(f.next in names for f in net.feedback)

    def _limit(self, name: str, headroom: float, floor: float) -> Floats:
        """The magnitude that each element has room for."""
        ranges = self.builder.ranges
        peak, bound = ranges.usual.get(name, ranges.peaks[name]), ranges.bounds[name].magnitude
        if not ranges.measured:
            headroom = NOISE_HEADROOM
        return np.asarray(np.minimum(bound, headroom * np.maximum(peak, peak.max() * floor)) + 1e-9)

    def _inner_limit(self, name: str) -> Floats:
        """The magnitude that each element of an inner value has room for: one that moves has a unit of its own."""
        limit, samples = self._limit(name, INNER_HEADROOM, INNER_FLOOR), self.builder.ranges.samples.get(name)
        if samples is None or name in self.builder.ranges.usual:
            return limit
        peak = self.builder.ranges.peaks[name]
        own = np.minimum(limit, self._limit(name, UNLIKE, FINEST_ELEMENT))
        return np.where(peak > AT_REST * samples.std(0), limit, own)
