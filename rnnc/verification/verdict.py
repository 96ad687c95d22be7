"""What the figures mean for whoever uses the C: good, fair or poor, each output channel by itself.

    good    every channel has 40 dB or more
    fair    20 dB or more
    poor    less, or more than 5 % of an input, or of a state by its format, was clipped

Class scores are judged by all channels together and by how often the largest is the same one, indices by how often they are
equal. A channel that hardly moves in its own format is listed and not judged, unless it shares its LSB with channels that
take far more room: then that is what is wrong.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np

from rnnc.fixed import Floats, Format
from rnnc.qnet import QNet
from rnnc.quantization.heads import UNLIKE, class_scores
from rnnc.verification.metrics import sqnr_db
from rnnc.verification.occupancy import Occupancy
from rnnc.verification.verify import OutputFigures

Level = Literal["good", "fair", "poor"]
LEVELS: tuple[Level, ...] = ("good", "fair", "poor")
Kind = Literal["channels", "classes", "indices"]

GOOD_DB, FAIR_DB = 40.0, 20.0
ALIKE, SAME = 0.95, 0.99
"""Share of equal answers below which classes and indices are poor, and below which indices are no more than fair."""
FEW_LSBS = 8
MOST_CLIPPED = 0.05
NO_ANSWERS = "has no answer that onnxruntime can be held to"
LONGER = "Give longer recordings: --calib DATA, or --input DATA of rnnc verify."
ONE_ANSWER = "has one answer in these data, and one alone is not judged"
MORE = "Give more recordings, each gives an answer: --calib DATA, or --input DATA of rnnc verify."
MOVING = "Give recordings in which the outputs move: --calib DATA, or --input DATA of rnnc verify."
CALIBRATE = "Give --calib DATA: what was run is noise."
CONSTANT = 16 * 2.0**-23
"""A channel that varies by less, beside its own magnitude, is constant: float32 gives no more."""


@dataclass(frozen=True, eq=False)
class OutputVerdict:
    """One output.

    Args:
        channel_db: SQNR of each channel by itself, None where it is constant or not finite; empty for indices.
        ignored: channels that vary too little to be judged.
        worst: the channel that has the lowest SQNR of those that are judged, None where they are judged together.
        level: None where there is nothing to judge.
        why: what decides the level: "y[1] has 4.8 dB"; without one, why there is nothing to judge.
    """

    name: str
    kind: Kind
    channel_db: tuple[float | None, ...]
    ignored: tuple[int, ...]
    worst: int | None
    level: Level | None
    why: str


@dataclass(frozen=True, eq=False)
class Verdict:
    """The judgement of a whole network.

    Args:
        level: the worst of all outputs' and of what was clipped, None where nothing could be judged.
        outputs: each output's.
        clipped: the input or state of which most was clipped, where that is too much.
        why: what decides the level.
        of_user: the data are the user's, no noise: what is poor on them is an error.
        cause, cure: in words, why it is not good and the one thing to do; "" where it is good. Where nothing could be
            judged ``why`` has the reason.
        states: a sentence for each state that was clipped more than a little.
    """

    level: Level | None
    outputs: tuple[OutputVerdict, ...]
    clipped: Occupancy | None
    why: str
    of_user: bool
    cause: str = ""
    cure: str = ""
    states: tuple[str, ...] = ()

    @property
    def weakest(self) -> OutputVerdict | None:
        """The output that decides, None where none is judged."""
        judged = [o for o in self.outputs if o.level is not None]
        return max(judged, key=lambda o: (_rank(o.level), -_lowest(o)), default=None)

    @property
    def unjudged(self) -> list[str]:
        """A sentence for each output that is not judged beside others that are."""
        return [f"{o.name} is not judged: {o.why}" for o in self.outputs if o.level is None and self.level]

    @property
    def fails(self) -> bool:
        """Whether it is an error: poor, on the user's own data."""
        return self.level == "poor" and self.of_user

    @property
    def text(self) -> str:
        """One line: the level, what decides it, and the cause."""
        head = f"{self.level}: {self.why}" if self.level else self.why
        return f"{head}; {self.cause}" if self.cause else head


class Compared(Protocol):
    """What a judgement needs: a ``Measurement``, or what else was compared with onnxruntime."""

    @property
    def outputs(self) -> tuple[OutputFigures, ...]: ...
    @property
    def occupancy(self) -> tuple[Occupancy, ...]: ...


def judge(qnet: QNet, measured: Compared, *, of_user: bool, labelled: Collection[str] = ()) -> Verdict:
    """Judge what was measured; the cause is found by ``cause.diagnose``.

    Args:
        of_user: the data that were run are the user's.
        labelled: outputs that integer labels belong to, which are class scores whatever computes them.
    """
    classes = {*class_scores(qnet.net), *labelled}
    outputs = tuple(
        judge_output(o, qnet.formats[out.value], classes=o.name in classes)
        for o, out in zip(measured.outputs, qnet.outputs, strict=True)
    )
    clipped = most_clipped(measured.occupancy)
    levels = [o.level for o in outputs] + ["poor" if clipped else None]
    level = max((known for known in levels if known), key=_rank, default=None)
    verdict = Verdict(level, outputs, clipped, "", of_user)
    weakest = verdict.weakest
    by_output = weakest is not None and weakest.level == level
    if level is None:
        reasons = ", ".join(f"{o.name} {o.why}" for o in outputs)
        cure = _more_data(outputs) if of_user or all(o.why == NO_ANSWERS for o in outputs) else CALIBRATE
        return Verdict(None, outputs, None, f"nothing could be judged: {reasons}", of_user, cure=cure)
    why = weakest.why if weakest and by_output else _clipping(clipped) if clipped else ""
    return Verdict(level, outputs, clipped, why, of_user)


def judge_output(o: OutputFigures, form: Format, *, classes: bool = False) -> OutputVerdict:
    """Judge one output, of the format that its integers have."""
    reference, agreement = o.asked.reference, o.difference.argmax_agreement
    if form.index:
        if agreement is None:
            return OutputVerdict(o.name, "indices", (), (), None, None, NO_ANSWERS)
        why = f"{o.name} is equal in {_percent(agreement)}"
        return OutputVerdict(o.name, "indices", (), (), None, _grade(agreement, SAME, ALIKE), why)
    channels = tuple(sqnr_db(reference[:, k : k + 1], o.got[:, k : k + 1]) for k in range(reference.shape[1]))
    if classes:
        level, why = _judge_classes(o.name, o.difference.sqnr_db, agreement)
        return OutputVerdict(o.name, "classes", channels, (), None, level, why or _unjudged(o))
    ignored = too_still(reference, form.scale_for(reference.shape[1]))
    known = {k: db for k, db in enumerate(channels) if db is not None and k not in ignored}
    if not known:
        return OutputVerdict(o.name, "channels", channels, ignored, None, None, _unjudged(o))
    worst = min(known, key=lambda k: known[k])
    name = o.name if len(channels) == 1 else f"{o.name}[{worst}]"
    level = _grade(known[worst], GOOD_DB, FAIR_DB)
    return OutputVerdict(o.name, "channels", channels, ignored, worst, level, f"{name} has {_decibels(known[worst])}")


def _more_data(outputs: Sequence[OutputVerdict]) -> str:
    """What data there must be for outputs to be judged."""
    if all(o.why == NO_ANSWERS for o in outputs):
        return LONGER
    return MORE if all(o.why.startswith((NO_ANSWERS, ONE_ANSWER)) for o in outputs) else MOVING


def _unjudged(o: OutputFigures) -> str:
    """Why an output that has no signal is not judged, and how far the integers are from it."""
    reference = o.asked.reference
    if not len(reference):
        return NO_ANSWERS
    if not np.all(np.isfinite(reference)):
        return "is not finite in onnxruntime"
    still = np.all(np.ptp(reference, axis=0) <= CONSTANT * np.abs(reference).max(0))
    words = "is constant in onnxruntime" if still else f"varies by less than {FEW_LSBS} LSB of its format"
    words = ONE_ANSWER if len(reference) == 1 else words
    return f"{words} (the integers are within {o.difference.max_abs:.3g} of it)"


def _judge_classes(name: str, db: float | None, agreement: float | None) -> tuple[Level | None, str]:
    if agreement is not None and agreement < ALIKE:
        return "poor", f"{name} has its largest score in the same place in {_percent(agreement)}"
    if db is None:
        return None, ""
    return _grade(db, GOOD_DB, FAIR_DB), f"{name} has {_decibels(db)}"


def too_still(reference: Floats, scale: Floats) -> tuple[int, ...]:
    """The channels of ``[points, channels]`` that vary too little to be judged, given each one's LSB.

    They vary by less than ``FEW_LSBS``, and no channel of the same LSB takes more than ``UNLIKE`` times their room.
    """
    if not len(reference):
        return tuple(range(reference.shape[1]))
    span, reach = np.ptp(reference, axis=0), np.abs(reference).max(0)
    found = []
    for k in range(reference.shape[1]):
        alike = scale == scale[k]
        crowded = span[alike].max() > UNLIKE * span[k] or reach[alike].max() > UNLIKE * reach[k]
        constant = span[k] <= CONSTANT * reach[k]
        if not np.isfinite(span[k]) or constant or (span[k] < FEW_LSBS * scale[k] and not crowded):
            found.append(k)
    return tuple(found)


def most_clipped(occupancy: Sequence[Occupancy]) -> Occupancy | None:
    """The input or state of which the largest share was clipped, where that is more than ``MOST_CLIPPED``."""
    judged = [o for o in occupancy if (o.state or not o.producer) and o.share_saturated > MOST_CLIPPED]
    return max(judged, key=lambda o: o.share_saturated, default=None)


def _clipping(o: Occupancy) -> str:
    return f"{'state' if o.state else 'input'} {o.value} was clipped in {o.share_saturated:.1%} of its numbers"


def _decibels(db: float) -> str:
    """As a terminal shows what the report has with five digits."""
    return f"{float(f'{db:.5g}'):.1f} dB"


def _grade(x: float, good: float, fair: float) -> Level:
    return "good" if x >= good else "fair" if x >= fair else "poor"


def _rank(level: Level | None) -> int:
    return -1 if level is None else LEVELS.index(level)


def _lowest(o: OutputVerdict) -> float:
    known = [db for k, db in enumerate(o.channel_db) if db is not None and k not in o.ignored]
    return min(known, default=0.0)


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{share:.1%} of its answers"
