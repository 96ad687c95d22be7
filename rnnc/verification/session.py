"""The original file in onnxruntime, fed with steps: which axes are time and batch, and which output feeds which state.

Found from the file and by trying it, not from how the front end read it: time is the axis along which an output depends on
what came before.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import count, product
from typing import Any

import numpy as np
import onnxruntime as ort

from rnnc.errors import UnreadableModel
from rnnc.frontend.read.naming import related
from rnnc.frontend.read.running import ends_the_process
from rnnc.net import Array, Net, Value
from rnnc.ops.start import Started
from rnnc.options import Options
from rnnc.streams import Stream, stream_net

NUMPY_TYPES = {
    "tensor(float)": np.float32,
    "tensor(double)": np.float64,
    "tensor(float16)": np.float16,
    "tensor(int64)": np.int64,
    "tensor(int32)": np.int32,
    "tensor(int16)": np.int16,
    "tensor(int8)": np.int8,
    "tensor(uint8)": np.uint8,
    "tensor(bool)": np.bool_,
}
PAIR_TOLERANCE = 1e-3
MOST_LAYOUTS = 16
TRIALS = 4
"""How often each layout is tried, with other numbers."""


@dataclass(frozen=True)
class Axes:
    """Where time (None: the file takes one step without such an axis) and batch (None where it is 1) are in a tensor."""

    time: int | None
    batch: int | None = None

    def pack(self, steps: Array, dims: Sequence[int]) -> Array:
        """``[time, lanes, *frame]`` as the file's tensor; ``dims`` are its lengths, time and batch as they will be."""
        moved = [a for a in (self.time, self.batch) if a is not None]
        rest = [n for i, n in enumerate(dims) if i not in moved]
        lead = [n for n, a in zip(steps.shape[:2], (self.time, self.batch), strict=True) if a is not None]
        return np.moveaxis(steps.reshape(*lead, *rest), range(len(moved)), moved)

    def unpack(self, tensor: Array) -> Array:
        """The file's tensor as ``[time, lanes, size]``."""
        moved = [a for a in (self.time, self.batch) if a is not None]
        a = np.moveaxis(tensor, moved, range(len(moved)))
        times = a.shape[0] if self.time is not None else 1
        lanes = tensor.shape[self.batch] if self.batch is not None else 1
        return a.reshape(times, lanes, -1)


@dataclass(frozen=True, eq=False)
class FileInput:
    """An input of the file: its lengths as declared, None where open."""

    name: str
    dims: tuple[int | None, ...]
    symbols: tuple[str, ...]
    dtype: Any


class Session:
    """onnxruntime on one model, whose streams are the inputs of ``net``; raises UnreadableModel where it cannot load it."""

    def __init__(self, model: bytes, net: Net, options: Options) -> None:
        if why := ends_the_process(model):
            raise UnreadableModel(why)
        settings = ort.SessionOptions()
        settings.log_severity_level = 4
        settings.intra_op_num_threads = 1
        # Fusions trust shapes that exporters leave stale in the file: with them some files run at one length only.
        settings.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
        try:
            self._session = ort.InferenceSession(model, settings, providers=["CPUExecutionProvider"])
        except Exception as error:
            raise UnreadableModel(f"onnxruntime cannot load it: {str(error).splitlines()[0]}") from None
        self.net, self.options = net, options
        self.outputs = [o.name for o in self._session.get_outputs()]
        self.inputs = {i.name: self._input(i) for i in self._session.get_inputs()}
        self.per_sequence = {v.name for v in net.inputs if v.per_sequence}

    def _input(self, declared: Any) -> FileInput:
        bind = self.options.bind
        dims = tuple(int(bind[d]) if d in bind else d if isinstance(d, int) and d > 0 else None for d in declared.shape)
        symbols = tuple(d if isinstance(d, str) else "" for d in declared.shape)
        return FileInput(declared.name, dims, symbols, NUMPY_TYPES[declared.type])

    # ----------------------------------------------------------------- one run

    def run(self, steps: Mapping[str, Array], state: Mapping[str, Array] | None = None) -> dict[str, Array]:
        """Run the file on ``[time, lanes, *frame]`` of each stream, from ``state`` (else zero); its outputs by name."""
        return self._run(self.axes, steps, state or {})

    def _run(
        self, axes: Mapping[str, Axes], steps: Mapping[str, Array], state: Mapping[str, Array]
    ) -> dict[str, Array]:
        feeds = {}
        for item in self.inputs.values():
            if item.name in axes:
                given = steps[item.name][:1] if item.name in self.per_sequence else steps[item.name]
                dims = self._lengths(item, axes[item.name], given)
                feeds[item.name] = axes[item.name].pack(given, dims).astype(item.dtype)
            elif item.name in state:
                feeds[item.name] = state[item.name].reshape([d or 1 for d in item.dims])
            else:
                value = self.options.bind.get(item.name, 0)
                feeds[item.name] = np.full([d or 1 for d in item.dims], value, item.dtype)
        try:
            return dict(zip(self.outputs, self._session.run(None, feeds), strict=True))
        except Exception as error:
            shapes = ", ".join(f"{name} {list(x.shape)}" for name, x in feeds.items())
            raise UnreadableModel(f"onnxruntime does not run it with {shapes}: {str(error).splitlines()[0]}") from error

    @staticmethod
    def _lengths(item: FileInput, axes: Axes, steps: Array) -> list[int]:
        at = {axes.time: steps.shape[0], axes.batch: steps.shape[1]}
        return [at.get(i, n or 1) for i, n in enumerate(item.dims)]

    def unpack(self, name: str, tensor: Array, ticks: int | None) -> Array:
        """An output as ``[ticks, lanes, size]``; ``ticks`` is how many are expected, None where it has no time axis."""
        value = self.net.values[next(o.value for o in self.net.outputs if o.name == name)]
        found = list(_layouts(tensor.shape, value, self.lanes, timeless=ticks is None))
        if not found and not self._fits(value, tensor, self.lanes, timeless=ticks is None):
            what = f"onnxruntime gives it the shape {list(tensor.shape)}, which is no {list(value.shape)} of a sequence"
            raise UnreadableModel(
                what, where=f"output {name!r}", hint="Say which axis is time: --time-axis INPUT=AXIS."
            )
        if not found:
            return np.asarray(tensor).reshape(1 if ticks is None else -1, self.lanes, value.size)
        fits = [a for a in found if a.time is None or tensor.shape[a.time] == ticks] or found
        if len({a.time for a in fits}) > 1:
            fits = [a for a in fits if a.time in self._causal_axes(name)] or fits
        like = [a for a in fits if a.time in {x.time for x in self.axes.values()}] or fits
        return like[0].unpack(tensor)

    @staticmethod
    def _fits(value: Value, tensor: Array, lanes: int, *, timeless: bool) -> bool:
        """Whether a result holds a value of each lane, once or for a number of ticks."""
        size = lanes * value.size
        return tensor.size == size if timeless else tensor.size % size == 0

    def _causal_axes(self, name: str) -> list[int]:
        """The axes of an output along which the last step of the inputs changes the end and not the beginning."""
        before, after = (results[name] for results in self._ends)
        return _changed_at_the_end(before, after)

    @cached_property
    def _ends(self) -> list[dict[str, Array]]:
        """``_two_ends`` along the axes that were chosen."""
        return self._two_ends(self.axes)

    # ----------------------------------------------------------------- layout

    @cached_property
    def axes(self) -> dict[str, Axes]:
        """Time and batch of each stream."""
        states = {s.alias for s in self.net.states()}
        names = [v.name for v in self.net.inputs]
        elsewhere = {s for n in self.inputs.keys() - set(names) for s in self.inputs[n].symbols if s}
        choices = [self._choices(v, elsewhere, stepwise=any(states)) for v in self.net.inputs]
        layouts = [dict(zip(names, c, strict=True)) for c in product(*choices)][:MOST_LAYOUTS]
        if len(layouts) == 1:
            return layouts[0]
        for seed in range(TRIALS):
            fitting = [layout for layout in layouts if self._is_time(layout, seed)]
            if fitting:
                return next(filter(self._is_causal, fitting), fitting[0]) if len(fitting) > 1 else fitting[0]
        likely = sorted(layouts, key=lambda a: self._unlikely(a, any(states)))
        return next(filter(self._runs, likely), layouts[0])

    def _choices(self, value: Value, elsewhere: set[str], stepwise: bool) -> list[Axes]:
        """What may be time and batch: all that is left besides them is the value's shape. Likely ones come first.

        Args:
            elsewhere: symbols of axes of states and of what is bound: none of them is time.
            stepwise: the file may take one step a call, on no axis of its own.
        """
        item = self.inputs[value.name]
        if value.per_sequence:
            return [next(_layouts([d or 1 for d in item.dims], value, None, timeless=True), Axes(None))]
        found = list(_layouts([d or 1 for d in item.dims], value, None, timeless=False))
        found += _layouts([d or 1 for d in item.dims], value, None, timeless=True) if stepwise else []
        named = self.options.time_axis.get(value.name)
        if value.name in self.options.time_axis and named is None:
            found = [a for a in found if a.time is None]
        elif named is not None:
            found = [a for a in found if a.time == named % len(item.dims)] or [Axes(named % len(item.dims))]
        else:
            found = [a for a in found if a.time is None or item.symbols[a.time] not in elsewhere] or found
        found += [a for a in _layouts([d or 1 for d in item.dims], value, None, timeless=True) if not found]

        def unlikely(axes: Axes) -> int:
            length = item.dims[axes.time] if axes.time is not None else 1
            return 0 if length is None else 1 if length > 1 else 2

        return sorted(found, key=unlikely) or [Axes(None)]

    def _unlikely(self, axes: Mapping[str, Axes], stepwise: bool) -> tuple[bool, bool]:
        """What speaks against axes that no trial tells: no single step of a file with states, else no fixed length; leading."""
        length = self._common_length(axes)
        leading = any(a.time == 0 for a in axes.values())
        return (length != 1 if stepwise else length in (None, 1)), leading and not stepwise

    def _is_time(self, axes: Mapping[str, Axes], seed: int) -> bool:
        """Whether the end of an output depends on the steps before the last along these axes.

        The larger the seed, the larger the numbers that are tried: a class index changes with few of them.
        """
        length = self._trial_length(axes)
        if length == 1:
            return False
        rng, lanes = np.random.default_rng(seed), self._lanes(axes)
        steps = {v.name: _random(v, rng, length, lanes, 2.0**seed) for v in self.net.inputs}
        changed = {
            v.name: np.concatenate([_random(v, rng, length - 1, lanes, 2.0**seed), steps[v.name][-1:]])
            for v in self.net.inputs
            if not v.per_sequence
        }
        try:
            before, after = self._run(axes, steps, {}), self._run(axes, steps | changed, {})
        except Exception:
            return False
        once = [o for o in self.net.outputs if o.kind != "stream" and not o.ticks]
        values = [(self.net.values[o.value], before[o.name]) for o in once]
        return all(self._fits(v, y, lanes, timeless=True) for v, y in values) and any(
            _end_differs(before[n], after[n], length) for n in before
        )

    def _is_causal(self, axes: Mapping[str, Axes]) -> bool:
        """Whether the last step along these axes changes the end of a result and not the beginning."""
        try:
            before, after = self._two_ends(axes)
        except Exception:
            return False
        length, names = self._trial_length(axes), [o.name for o in self.net.outputs]
        return any(before[n].shape[i] == length for n in names for i in _changed_at_the_end(before[n], after[n]))

    def _two_ends(self, axes: Mapping[str, Axes]) -> list[dict[str, Array]]:
        """What the file answers to two sequences that differ in their last step alone."""
        rng, lanes, length = np.random.default_rng(0), self._lanes(axes), self._trial_length(axes)
        steps = {v.name: _random(v, rng, length, lanes) for v in self.net.inputs}
        moving = [v for v in self.net.inputs if not v.per_sequence]
        changed = {v.name: np.concatenate([steps[v.name][:-1], _random(v, rng, 1, lanes)]) for v in moving}
        return [self._run(axes, s, {}) for s in (steps, steps | changed)]

    def _trial_length(self, axes: Mapping[str, Axes]) -> int:
        """The length that the file takes, or a window's; else one that no axis has, and after which there are two answers."""
        clocks = [self.net.values[o.value].clock for o in self.net.outputs]
        answers = max((c.phase + 2 * c.rate for c in clocks), default=0)
        fixed = self._common_length(axes) or self.net.window
        return fixed or answers + max(d or 1 for item in self.inputs.values() for d in item.dims)

    def _runs(self, axes: Mapping[str, Axes]) -> bool:
        length = self._common_length(axes) or self.net.window or 2
        try:
            self._run(axes, {v.name: np.zeros((length, self._lanes(axes), *v.shape)) for v in self.net.inputs}, {})
        except Exception:
            return False
        return True

    def _common_length(self, axes: Mapping[str, Axes]) -> int | None:
        lengths = [
            self.inputs[n].dims[a.time] if a.time is not None else 1
            for n, a in axes.items()
            if n not in self.per_sequence
        ]
        return next((n for n in lengths if n is not None), None if lengths else self._repeats(axes))

    def _repeats(self, axes: Mapping[str, Axes]) -> int:
        """How many steps a file makes of inputs that it takes once: the fewest after which there is all that it answers."""
        net, lanes = self.net, self._lanes(axes)
        results = self._run(axes, {v.name: np.zeros((1, lanes, *v.shape)) for v in net.inputs}, {})
        ticks = {o: results[o.name].size // (lanes * net.values[o.value].size) for o in net.outputs if o.kind != "last"}
        return next(n for n in count(1) if all(net.ticks(o, n) >= k for o, k in ticks.items()))

    def _lanes(self, axes: Mapping[str, Axes]) -> int:
        return next((self.inputs[n].dims[a.batch] or 1 for n, a in axes.items() if a.batch is not None), 1)

    @cached_property
    def lanes(self) -> int:
        """How many streams the file runs side by side."""
        return self._lanes(self.axes)

    @cached_property
    def fixed_time(self) -> int | None:
        """How many steps the file takes at once, None where that is open."""
        return self._common_length(self.axes)

    # ----------------------------------------------------------------- state

    @cached_property
    def pairs(self) -> dict[str, str] | None:
        """Which output feeds each state input, None where the file keeps some state to itself.

        An output feeds the state that has its value after the same steps. The cache of a layer that keeps its history in
        another form is fed by the output that its name or its shape tells.
        """
        anew = {name for op in self.net.ops if isinstance(op, Started) for name in op.overwritten}
        states = [s for s in self.net.states() if s.name not in anew]
        aliases = {s.alias for s in states if s.alias}
        caches = self.inputs.keys() - aliases - {v.name for v in self.net.inputs} - self.options.bind.keys()
        if not aliases <= self.inputs.keys() or (len(aliases) < len({s.alias for s in states}) and not caches):
            return None
        free = [n for n in self.outputs if n not in {o.name for o in self.net.outputs}]
        pairs = {i: o for i, o in self.options.states.items() if o in self.outputs and i in self.inputs}
        if aliases:
            pairs |= self._matched(aliases - set(pairs), [n for n in free if n not in pairs.values()])
        for name in sorted(caches - pairs.keys(), key=list(self.inputs).index):
            pairs |= self._cache(name, [n for n in free if n not in pairs.values()])
        return pairs if aliases | caches <= pairs.keys() else None

    def _cache(self, name: str, free: list[str]) -> dict[str, str]:
        """The pair of a cache: an output of its size, of a name like its own where there is one."""
        rng, size = np.random.default_rng(1), np.prod([d or 1 for d in self.inputs[name].dims])
        results = self.run({v.name: _random(v, rng, self.fixed_time or 1, self.lanes) for v in self.net.inputs})
        fitting = [n for n in free if results[n].size == size]
        fitting = [n for n in fitting if related(name, n)] or fitting
        return {name: fitting[0]} if fitting else {}

    def _matched(self, aliases: set[str], free: list[str]) -> dict[str, str]:
        rng = np.random.default_rng(1)
        steps = {v.name: _random(v, rng, self.fixed_time or 1, self.lanes) for v in self.net.inputs}
        results = self.run(steps)
        stream = stream_net(self.net, self.lanes)
        stream.advance(steps)
        pairs: dict[str, str] = {}
        for alias in sorted(aliases, key=list(self.inputs).index):
            at, expected = _state_elements(self.net, stream, alias)
            dims = [d or 1 for d in self.inputs[alias].dims]
            fitting = [n for n in free if n not in pairs.values() and results[n].size == np.prod(dims)]
            found = [self._first_lane(results[n].reshape(dims)).ravel()[at] for n in fitting]
            errors = [float(np.abs(f - expected).max()) for f in found]
            if errors and min(errors) < PAIR_TOLERANCE:
                pairs[alias] = fitting[int(np.argmin(errors))]
        return pairs

    def _first_lane(self, state: Array) -> Array:
        axis = next((i for i, n in enumerate(state.shape) if n == self.lanes), 0)
        return state.take(0, axis) if self.lanes > 1 else state


def _state_elements(net: Net, stream: Stream, alias: str) -> tuple[list[int], Array]:
    """The elements of a state input that a net keeps, and what they are now in its first lane."""
    at: list[int] = []
    values: list[Array] = []
    for s in net.states():
        if s.alias == alias:
            values.append(stream.state[s.name][0].ravel())
            at += list(range(values[-1].size)) if s.window is None else np.ravel(s.window).tolist()
    return at, np.concatenate(values)


def _layouts(dims: Sequence[int], value: Value, lanes: int | None, *, timeless: bool) -> Iterator[Axes]:
    """All choices of time and batch that leave the value's shape, but for axes of length 1."""
    batches = [None, *(i for i, n in enumerate(dims) if n > 1 and lanes in (None, n))]
    if lanes is not None and lanes > 1:
        batches = batches[1:]
    for time in [None] if timeless else range(len(dims)):
        for batch in batches:
            rest = [n for i, n in enumerate(dims) if i not in (time, batch) and n != 1]
            if tuple(rest) == tuple(n for n in value.shape if n != 1) and (batch is None or batch != time):
                yield Axes(time, batch)


def _random(value: Value, rng: np.random.Generator, length: int, lanes: int, size: float = 1.0) -> Array:
    shape = (length, lanes, *value.shape)
    return rng.integers(0, value.rows, shape) if value.dtype == "index" else size * rng.standard_normal(shape)


def _changed_at_the_end(before: Array, after: Array) -> list[int]:
    """The axes along which two results differ at the last index and not at the first."""
    axes = [i for i, n in enumerate(before.shape) if n > 1 and before.shape == after.shape]
    return [
        i
        for i in axes
        if np.array_equal(before.take(0, i), after.take(0, i))
        and not np.array_equal(before.take(-1, i), after.take(-1, i))
    ]


def _end_differs(before: Array, after: Array, length: int) -> bool:
    """Whether two results differ at the last index of the axis of this length, or anywhere where there is none."""
    axis = next((i for i, n in enumerate(before.shape) if n == length), None)
    if axis is None:
        return not np.array_equal(before, after)
    return not np.array_equal(before.take(-1, axis), after.take(-1, axis))
