"""Why a network is no better than fair or poor, from what was measured, and the one thing to do.

Each suspect is tried alone in the network in real numbers: inputs rounded, ranges kept, weights of 8 bits, the output's own
LSB, a layer's arithmetic. The one that makes most of the error by itself is named; within weights the layer, and the gate.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np

from rnnc.flags import flag_of
from rnnc.net import Op
from rnnc.options import NUMBER_OF_AN_INPUT, NUMBER_OF_AN_OUTPUT, Options
from rnnc.qnet import QNet
from rnnc.quantization.calibrate import Sequences
from rnnc.quantization.extend import extended_values
from rnnc.quantization.slow import feedback_gain, still_rising
from rnnc.verification.batches import sequences_of
from rnnc.verification.copies import InsertedCopies
from rnnc.verification.experiments import Experiments, in_integers
from rnnc.verification.occupancy import Occupancy
from rnnc.verification.units import crowded_input, crowded_output
from rnnc.verification.verdict import Verdict
from rnnc.verification.verify import Measurement

MOSTLY = 0.5
"""Share of what all layers' weights cost from which one layer is named alone."""
NEARLY = 0.8
"""Of suspects that explain about as much the first is named: what is clipped early is clipped in all that follows."""
EXPLAINS = 0.3
"""Share of the error from which a suspect is the cause."""
RARELY = 1e-4
"""Share of clipped numbers that hardly matters."""
NEAR_ONE, GROWS = 0.99, 1.01
"""How much of an error is left after a step: from where it lasts long, and from where it grows."""
JUDGE_BY_TASK = "Judge the network by its task on recordings of your own (--input), not by its numbers step by step."
SPLIT = (
    "Export the update as s + (what changes): the weight near 1 is then the sum's, which is exact, and only the change "
    "is rounded."
)
UNBROKEN = (
    "let it meet nothing but plain arithmetic on the way to its next value (sums, products, limits, slopes, quotients), which "
    "keeps 32 bits, or update it less often and by more."
)
LARGEST_STATE = 32
MOST_LAYERS = 64
"""Of more layers with weights none is named."""


@dataclass(frozen=True)
class Cause:
    """What is wrong, and the one thing to do."""

    words: str
    cure: str


def diagnose(
    verdict: Verdict,
    qnet: QNet,
    measured: Measurement,
    options: Options,
    calibration: Sequences | None,
    parts_at: int | None = None,
) -> Verdict:
    """The verdict with its cause, where it is fair or poor, and with what is to be said of states that were clipped.

    Args:
        calibration: the sequences that ranges come from, None for noise.
        parts_at: the step after which float32 and float64 part by themselves.
    """
    clipped = [o for o in measured.occupancy if o.state and o.share_saturated >= RARELY]
    causes = [state_clipped(o, rises=rising(o, qnet, calibration), calibrated=calibration is not None) for o in clipped]
    verdict = replace(verdict, states=tuple(f"{c.words[0].upper()}{c.words[1:]}. {c.cure}" for c in causes))
    if verdict.level in (None, "good"):
        return verdict
    found = _Diagnosis(verdict, qnet, measured, options, calibration).cause(parts_at)
    return replace(verdict, cause=found.words, cure=found.cure)


def widen(name: str, options: Options) -> str:
    """What to do where an input is clipped."""
    given = given_by(name, options)
    if given:
        return f"{given} {name}=... sets it: widen it, or leave it out, and the calibration data say how much it takes."
    return f"Calibrate with data that reaches as far, or widen it: --input-range {name}=LO:HI."


def given_by(name: str, options: Options) -> str:
    """The option that sets an input's format, "" where data or the default do."""
    return next((flag_of(keyword) for keyword in NUMBER_OF_AN_INPUT if name in getattr(options, keyword)), "")


def rising(o: Occupancy, qnet: QNet, calibration: Sequences | None) -> bool:
    """Whether a state that was clipped still grew when the calibration ended."""
    if calibration is None:
        return False
    own = {s.name for op in qnet.net.ops if op.name == o.producer for s in op.states()}
    return bool(still_rising(qnet.net, calibration) & {o.value, *own})


def state_clipped(o: Occupancy, *, rises: bool, calibrated: bool) -> Cause:
    """What is said of a state that leaves its format."""
    more = ", and it was still rising when the calibration ended" if rises else ""
    words = f"state {o.value} was clipped in {o.share_saturated:.2%} of its numbers (it holds {o.room}){more}"
    if not calibrated:
        return Cause(words, "Give --calib DATA: ranges come from noise now.")
    if rises:
        return Cause(
            words, "Calibrate with recordings as long as it runs without a reset, until the state has settled."
        )
    return Cause(words, "Calibrate with data that drives it as far.")


class _Diagnosis:
    def __init__(
        self, verdict: Verdict, qnet: QNet, measured: Measurement, options: Options, calibration: Sequences | None
    ) -> None:
        self.verdict, self.qnet, self.net = verdict, qnet, qnet.net
        self.by_name = {q.name: q for q in qnet.ops}
        self.measured, self.options, self.calibration = measured, options, calibration
        self.clipped = [o for o in measured.occupancy if o.share_saturated > 0]

    def cause(self, parts_at: int | None) -> Cause:
        """The suspect that explains most."""
        weakest = self.verdict.weakest
        if self.verdict.clipped and (weakest is None or weakest.level != self.verdict.level):
            return self._of_range(self.verdict.clipped)
        assert weakest is not None
        runs = self._experiments()
        if parts_at is not None and self._later(runs, parts_at):
            return Cause(
                f"float32 and float64 part at step {parts_at:,} by themselves, and no integers can follow further",
                JUDGE_BY_TASK,
            )
        suspects = self._suspects(runs)
        most = max(alone for alone, _ in suspects)
        worst = next(s for s in suspects if s[0] >= NEARLY * most)
        total = runs.target.total
        arithmetic = runs.target.error(runs.target.got, self.rounded_weights)
        if worst[0] >= EXPLAINS * total or worst[0] >= arithmetic:
            return worst[1]()
        return self._arithmetic()

    def _experiments(self, share: float = 1.0) -> Experiments:
        weakest = self.verdict.weakest
        assert weakest is not None
        (output,) = (o for o in self.measured.outputs if o.name == weakest.name)
        return Experiments(self.qnet, self.measured, output, weakest.worst, share)

    @staticmethod
    def _later(runs: Experiments, step: int) -> bool:
        """Whether most of the error comes after a step."""
        late = np.array(runs.target.points.tick) >= step
        got = np.where(late[:, None], runs.target.got, runs.target.reference)
        return runs.target.error(got) > runs.target.total / 2

    def _suspects(self, runs: Experiments) -> list[tuple[float, Callable[[], Cause]]]:
        """The error that each makes alone, and how to say it, in the order in which they act."""
        error = runs.target.error
        rounded = error(runs.run(inputs=runs.rounded))
        self.rounded_weights = runs.run(ops={q.name: q.dequantized() for q in self.qnet.ops if q.op in self.net.ops})
        found: list[tuple[float, Callable[[], Cause]]] = []
        inputs = [o for o in self.clipped if not o.producer and not o.state]
        beyond = error(runs.run(inputs=runs.clipped)) if inputs else 0.0
        if inputs and beyond >= rounded / 2:
            widest = max(inputs, key=lambda o: o.share_saturated)
            found.append((max(beyond, rounded), lambda: self._of_range(widest)))
        else:
            found.append((rounded, lambda: self._input(runs)))
        inner = [o for o in self.clipped if o.producer or o.state]
        if inner:
            most = max(inner, key=lambda o: (o.state, o.share_saturated))
            found.append((error(runs.run(clamped=runs.clamps())), lambda: self._of_range(most)))
        found.append((error(self.rounded_weights), self._weights))
        if not runs.target.index:
            form = self.qnet.formats[self._value(runs.name)]
            found.append((error(form.dequantize(form.quantize(runs.target.reference))), lambda: self._output(runs)))
        return found

    def _value(self, output: str) -> str:
        return next(o.value for o in self.net.outputs if o.name == output)

    def _of_range(self, o: Occupancy) -> Cause:
        """What is said of a value that leaves its format."""
        if o.state:
            rises = rising(o, self.qnet, self.calibration)
            return state_clipped(o, rises=rises, calibrated=self.calibration is not None)
        share = f"{o.share_saturated:.2%} of its numbers were clipped (it holds {o.room})"
        if not o.producer:
            beyond = "went beyond its calibration" if self.calibration is not None else "goes beyond its range"
            return Cause(f"input {o.value} {beyond}: {share}", widen(o.value, self.options))
        return Cause(f"{self._inner(o)} went beyond its range: {share}", self._reach())

    def _inner(self, o: Occupancy) -> str:
        """What a value within the network is called: of a copy, what it copies, and for whom."""
        copies = InsertedCopies(self.qnet)
        value = copies.original(o.value)
        if value == o.value:
            return f"value {value} of {o.producer}"
        states = [f.state.name for f in self.net.feedback if value in {f.state.name, *self.net.passed(f.next)}]
        return f"{f'state {states[0]}' if states else f'value {value}'} as {' and '.join(copies.readers(o.value))} reads it"

    def _reach(self) -> str:
        return "Give --calib DATA." if self.calibration is None else "Calibrate with data that drives it as far."

    def _input(self, runs: Experiments) -> Cause:
        names = [v.name for v in self.net.inputs if not self.qnet.formats[v.name].index]

        def alone(name: str) -> float:
            return runs.target.error(runs.run(inputs=lambda n, x: runs.rounded(n, x) if n == name else x))

        name = names[0] if len(names) == 1 else max(names, key=alone)
        seen = np.concatenate([s.reshape(len(s), -1) for s in sequences_of(runs.groups)[name]])
        scale, given = self.qnet.formats[name].scale_for(seen.shape[1]), given_by(name, self.options)
        return Cause(*crowded_input(name, seen, scale, given, calibrated=self.calibration is not None))

    def _output(self, runs: Experiments) -> Cause:
        form, exact = self.qnet.formats[self._value(runs.name)], runs.target.reference
        kept = form.limit(exact)
        if runs.target.error(kept) >= runs.target.error(form.dequantize(form.quantize(exact))) / 2:
            words = (
                f"output {runs.name} went beyond its range: {np.mean(kept != exact):.2%} of its numbers were clipped"
            )
            return Cause(words, self._reach())
        scale = form.scale_for(exact.shape[1])
        given = next((flag_of(k) for k in NUMBER_OF_AN_OUTPUT if runs.name in getattr(self.options, k)), "")
        return Cause(*crowded_output(runs.name, runs.target.reference, scale, runs.target.channel, given))

    # ----------------------------------------------------------------- layers

    def _weights(self) -> Cause:
        rounded = {q.name: q.dequantized() for q in self.qnet.ops if q.op in self.net.ops and in_integers(q)}
        runs = self._experiments(4 / (4 + len(rounded)))

        def alone(name: str) -> float:
            return runs.target.error(runs.run(ops={name: rounded[name]}))

        if len(rounded) > MOST_LAYERS:
            return Cause(f"the {self._width(rounded)} weights of {len(rounded)} layers", self._finer_weights(rounded))
        errors = {name: alone(name) for name in rounded} if len(rounded) > 1 else dict.fromkeys(rounded, 1.0)
        name = max(errors, key=lambda n: errors[n])
        op = next(o for o in self.net.ops if o.name == name)
        gate = self._gate(runs, op, rounded[name])
        words = (
            f"the {self._width([name])} weights of {name} ({op.describe()}){f', its {gate} gate most' if gate else ''}"
        )
        if errors[name] < MOSTLY * sum(errors.values()):
            words = f"the {self._width(rounded)} weights of {len(rounded)} layers together, of {name} most"
        return self._lasting(op, words, self._finer_weights([name]))

    def _width(self, layers: Collection[str]) -> str:
        """What the weights of some layers are called by their width."""
        wide = {b.wide for b in self.qnet.blocks if b.name.split(".")[0] in layers}
        return "16-bit" if wide == {True} else "rounded" if True in wide else "int8"

    def _gate(self, runs: Experiments, op: Op, rounded: Op) -> str:
        """Which gate's weights cost most, "" where a layer has no gates."""
        if not op.gates:
            return ""
        errors = [runs.target.error(runs.run(ops={op.name: _one_gate(op, rounded, k)})) for k in range(len(op.gates))]
        return op.gates[int(np.argmax(errors))]

    def _arithmetic(self) -> Cause:
        names = [op.name for op in self.net.ops]
        runs = self._experiments(4 / (4 + len(names)))
        if len(names) > MOST_LAYERS:
            return Cause(f"the arithmetic of {len(names)} layers", self._finer_arithmetic())
        before = self._into_feedback()
        errors = {name: runs.target.error(runs.run(integers={name}, inputs=runs.rounded)) for name in names}
        name = max(errors, key=lambda n: errors[n])
        if before and runs.target.error(runs.run(integers=before)) >= errors[name]:
            name = max(before, key=lambda n: errors[n])
        op = next(o for o in self.net.ops if o.name == name)
        return self._lasting(op, f"the rounding inside {name} ({op.describe()})", self._finer_arithmetic())

    def _lasting(self, op: Op, words: str, cure: str) -> Cause:
        """The same, with how long errors last where they go into a state that remembers long."""
        names = {s.name for s in op.states()}
        if not names and op.name in self._into_feedback():
            names = {f.state.name for f in self.net.feedback}
        gain = (
            feedback_gain(self.net, names, sequences_of([run.batch for run in self.measured.runs])) if names else None
        )
        if gain is None or gain < NEAR_ONE:
            return Cause(words, cure)
        if gain > GROWS:
            recurrence = (
                f"a recurrence in which errors grow {gain:.4g} times a step, so that nothing follows it for long"
            )
            return Cause(f"{recurrence}: they come from {words}", JUDGE_BY_TASK)
        lasts = f"last for about {1 / (1 - gain):,.0f} steps" if gain < 1 - 1e-6 else "do not fade"
        recurrence = f"a recurrence with an eigenvalue near 1 ({gain:.5g}), in which errors {lasts}"
        return Cause(f"{recurrence}: they come from {words}", cure if op.states() else self._steadier(op, cure))

    def _steadier(self, op: Op, cure: str) -> str:
        """What helps a state that the graph itself feeds back, where ``op`` costs most on its way to its next value."""
        narrow = [f.state.name for f in self.qnet.feedback if f.state.format.bits < LARGEST_STATE]
        if narrow and not in_integers(self.by_name[op.name]):
            last = next(
                o for o in self.net.ops for f in self.net.feedback if f.next in o.outputs and f.state.name in narrow
            )
            return f"{last.name} ({last.describe()}) leaves state {narrow[0]} 16 bits: {UNBROKEN}"
        extended = extended_values(self.net)
        sums = {name for o in self.net.ops if extended & {*o.outputs} for name in o.inputs}
        joins = bool({*op.outputs} & (sums | {f.next for f in self.net.feedback}))
        return SPLIT if joins and not self._carried_past(op) else cure

    def _carried_past(self, op: Op) -> bool:
        """Whether a state reaches its next value without an op."""
        reached = {f.state.name: {f.state.name} for f in self.net.feedback}
        for values in reached.values():
            for o in self.net.ops:
                if o is not op and values & {*o.inputs}:
                    values.update(o.outputs)
        return any(f.next in reached[f.state.name] for f in self.net.feedback)

    def _into_feedback(self) -> set[str]:
        """The ops that lead to what the graph itself feeds back."""
        makers = {name: op for op in self.net.ops for name in op.outputs}
        todo, found = [f.next for f in self.net.feedback], set[str]()
        while todo:
            op = makers.get(todo.pop())
            if op is not None and op.name not in found:
                found.add(op.name)
                todo += op.inputs
        return found

    def _finer_weights(self, layers: Collection[str]) -> str:
        if self.calibration is None:
            return "Give --calib DATA: weights are then rounded against what flows through them."
        if self._width(layers) != "16-bit":
            return "Take --weights 16: they are then 256 times as fine. --min-sqnr DB widens only as many as DB takes."
        if not self.options.search:
            return "Try --search 8, which keeps the best of eight roundings; longer calibration data may help too."
        return "Longer calibration data may help."

    def _finer_arithmetic(self) -> str:
        if self.options.precision == "a8" or "a8" in self.options.layer_precision.values():
            return "Take --precision a16: a8 feeds back 8 bits."
        if self.calibration is None:
            return "Give --calib DATA: ranges come from noise now."
        return "Calibrate with data that fits the ranges more closely."


def _one_gate(op: Op, rounded: Op, k: int) -> Op:
    """The op with one gate's weights and biases as rounded."""
    changed: dict[str, Any] = {}
    for f in fields(op):
        exact, other = getattr(op, f.name), getattr(rounded, f.name)
        if isinstance(exact, np.ndarray) and exact is not other and len(exact) == len(op.gates):
            mixed = exact.copy()
            mixed[k] = other[k]
            changed[f.name] = mixed
    return replace(op, **changed)
