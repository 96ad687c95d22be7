"""From a graph over whole sequences to a network of one time step.

Each tensor is followed through the graph with its time axis. Which axis of an input is time is not written in the file:
each choice is tried, and the one is right with which every recurrent node finds time on the axis that it scans.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import partial
from itertools import islice, product

import numpy as np

from rnnc.errors import Refused, RnncError, UnreadableModel, UsageError
from rnnc.frontend.read.fold import RECURRENT, complete_shapes, scanned_axis
from rnnc.frontend.read.naming import related
from rnnc.frontend.recurrence.cells import find_cells, in_bodies, possible_feeds
from rnnc.frontend.recurrence.forward import forward_only, without_lengths
from rnnc.frontend.recurrence.loops import unloop
from rnnc.frontend.recurrence.sums import linear_recurrences
from rnnc.frontend.recurrence.unroll import roll_up
from rnnc.frontend.rewrite.editor import prune
from rnnc.frontend.rewrite.masks import EXPONENTIAL, check_finite, finite_masks
from rnnc.frontend.rewrite.places import whole_states
from rnnc.frontend.rewrite.rules import canonical
from rnnc.frontend.rewrite.twins import without_twins
from rnnc.frontend.stream.finish import UnlikeRates
from rnnc.frontend.stream.lines import split_states
from rnnc.frontend.stream.reasons import NeedsWindow, WrongAxis, unrecognised_sums
from rnnc.frontend.stream.recordings import check_recording, check_relations
from rnnc.frontend.stream.states import States, find_states, without_caches
from rnnc.frontend.stream.trace import STEP_FILE, Parts, Trace
from rnnc.net import Net
from rnnc.options import Options
from rnnc.tracing import Graph, Tensor

MOST_TRIALS = 64


def to_stream(graph: Graph, options: Options) -> Net:
    """A graph as one time step with explicit state, equal to the graph over a sequence.

    Args:
        graph: from ``load``.
        options: ``states``, ``time_axis``, ``outputs``, ``window`` and ``hop`` are used.

    Raises Refused, naming the node that cannot stream; UsageError; UnreadableModel where the file contradicts itself.
    """
    try:
        net = _stream(graph, options)
    except RnncError as error:
        if isinstance(error, Refused) and not graph.broken:
            error.hint = _sums(graph, options) or error.hint
            _advise_window(error, graph, options)
        if any(not guess.endswith("=1") for guess in graph.guessed) or not error.hint:
            error.hint = f"{_guess(graph)} {error.hint}".strip()
        raise
    except Exception as error:
        if not graph.broken:
            raise
        what = f"the model contradicts itself: {graph.broken}"
        raise UnreadableModel(what, where=graph.file, hint=_guess(graph)) from error
    _check_hop(net, options, graph.file)
    return split_states(net)


def _sums(graph: Graph, options: Options) -> str:
    """What to say of running sums that are left once linear recurrences are recognised; "" where none are."""
    try:
        return unrecognised_sums(graph) and unrecognised_sums(prepared(graph, options)[0])
    except RnncError:
        return unrecognised_sums(graph)


def _advise_window(error: Refused, graph: Graph, options: Options) -> None:
    """Say which --window compiles what cannot stream, where one does: T, or the length of the axis that was taken as time,
    or of the first of a sequence that may be."""
    steps = error.steps if error.windowed else 0 if options.window else graph.time or error.steps
    if steps == 1 and not options.window:  # none was
        steps = next((n for t in graph.inputs if len(t.shape) > 2 for n in t.shape[:-1] if n > 1), 1)
    if steps > 1 and steps != options.window and _compiles(graph, replace(options, window=steps, hop=0)):
        flag = "--window T" if graph.time else f"--window {steps}"
        others = f"{error.hint} --window T compiles it, with one answer a window.".strip()
        error.hint = (error.windowed or others).replace("--window T", flag)


def _compiles(graph: Graph, options: Options) -> bool:
    """Whether a graph compiles with windows of just the length that the options name."""
    try:
        return _stream(graph, options).window == options.window
    except RnncError:
        return False


def _guess(graph: Graph) -> str:
    """What to say of open axes whose lengths were guessed."""
    if not graph.guessed:
        return ""
    doubtful = next((guess for guess in graph.guessed if not guess.endswith("=1")), graph.guessed[-1])
    return f"Its open axes were taken as {', '.join(graph.guessed)}: --bind {doubtful.rpartition('=')[0]}=N overrides this."


def _check_hop(net: Net, options: Options, file: str) -> None:
    """Raise UsageError where the windows that are asked for have no length, or are shorter than their hop."""
    if options.hop and not net.window:
        what = "takes one step at once" if net.length else "leaves open how many steps a sequence has"
        hint = STEP_FILE if net.length else "Say how long a window is: --window T --hop K."
        raise UsageError(f"--hop {options.hop}: the file {what}", where=file, hint=hint)
    if not 0 <= options.hop <= net.window:
        what = f"--hop {options.hop}: a window has {net.window} steps, and no frame may lie between two windows"
        raise UsageError(what, where=file, hint=f"Give --hop K with 1 <= K <= {net.window}.")


def _stream(graph: Graph, options: Options) -> Net:
    loaded = graph
    graph, states = prepared(graph, options)
    _check_inputs(graph, states)
    attempts = _Attempts(options)
    plain = without_caches(graph, states) if states.feedback else None
    if plain and plain.frames:
        net = attempts.best(plain.graph, plain.states)
        if net and all(o.kind != "last" for o in net.outputs):
            return net
    net = attempts.best(graph, states)
    if net is None and plain:
        net = attempts.best(plain.graph, plain.states)
    net = net or attempts.repeated(graph, states)
    if net is None:
        reason = attempts.likeliest()
        if graph.batched and isinstance(reason, WrongAxis):
            raise graph.batched from reason
        raise (_lengths_differ(graph, states, options) if isinstance(reason, WrongAxis) else None) or reason
    check_recording(without_lengths(loaded), net, _timeless(options))
    check_relations(graph, net, _timeless(options))
    return net


def _timeless(options: Options) -> frozenset[str]:
    """The inputs of which the user says that no axis is time."""
    return frozenset(name for name, axis in options.time_axis.items() if axis is None)


def _kept(graph: Graph, options: Options) -> frozenset[str]:
    """The inputs that are states by what the user says, or by name and shape: their axes are bands or heads, and not time."""
    named = {t.name for t in graph.inputs for o in graph.outputs if o.shape == t.shape and related(t.name, o.name)}
    said = {name for name, output in options.states.items() if output != "none"}
    return frozenset(named | said) - {name for name, output in options.states.items() if output == "none"}


def _check_inputs(graph: Graph, states: States) -> None:
    """Refuse a graph of states alone: nothing tells it when a step comes, or how many there are."""
    fed = [t.name for t in graph.inputs if t.name in states.initial | states.feedback]
    if len(fed) < len(graph.inputs):
        return
    if not fed:
        what = "it has no input: what it computes never changes"
        raise Refused(what, where=graph.file, hint="Export what changes from step to step as an input.")
    free = next((name for name in fed if name in states.feedback), fed[0])
    raise Refused(
        f"no input is left: outputs feed them all ({', '.join(fed)})",
        where=graph.file,
        hint=f"Leave one free, and hand it its output in the firmware: --state {free}=none.",
    )


def _lengths_differ(graph: Graph, states: States, options: Options) -> Refused | None:
    """What to tell of a graph of several sequences that have no length in common: an encoder with its decoder."""
    inputs = [t for t in graph.inputs if t.name not in states.initial | states.feedback]
    fixed = replace(graph, time=0) if graph.time else graph  # of which only the open ones may be time
    lengths = [{t.shape[a] for a in _axes(t, fixed, options) if a is not None} for t in inputs]
    sequences = [(t, found) for t, found in zip(inputs, lengths, strict=True) if len(t.shape) > 2 and found]
    if len(sequences) < 2 or set.intersection(*(found for _, found in sequences)):
        return None
    shapes = " and ".join(f"{t.name!r} {list(t.shape)}" for t, _ in sequences)
    shapes = shapes.replace(f" {graph.time},", " T,").replace(f"[{graph.time},", "[T,") if graph.time else shapes
    return Refused(
        f"its inputs {shapes} are not sequences of the same length",
        where=graph.file,
        hint="Export the parts, such as encoder and decoder, as files of their own: docs/encoder-decoder.md.",
    )


def prepared(graph: Graph, options: Options) -> tuple[Graph, States]:
    """The graph that is walked through, its cells found and loops as Scans, and its states; raises as ``to_stream``."""
    graph, kept = whole_states(complete_shapes(without_lengths(without_twins(graph))), options.states)
    options = replace(options, states={**kept, **options.states})
    graph = finite_masks(linear_recurrences(finite_masks(complete_shapes(graph))), EXPONENTIAL)
    check_finite(graph)
    timeless = _timeless(options) | _kept(graph, options)
    graph = roll_up(graph, timeless)
    graph = roll_up(canonical(complete_shapes(unloop(canonical(graph)))), timeless)
    graph = forward_only(graph) if options.window or options.hop else graph
    no_states = {name for name, output in options.states.items() if output == "none"}
    feeds = {name: outputs for name, outputs in possible_feeds(graph).items() if name not in no_states}
    graph = find_cells(in_bodies(graph), feeds, certain=False)
    states = find_states(graph, options)
    hidden = set() if options.outputs else set(states.pairs.values())
    results = [name for name in graph.wanted if name not in hidden] or list(graph.wanted)
    graph = prune(graph, [*results, *(states.pairs[name] for name in states.feedback)])
    return replace(graph, wanted=tuple(results)), states


class _Attempts:
    """Walks through a graph with one choice of time axes after the other, until one is right."""

    def __init__(self, options: Options) -> None:
        self.options = options
        self.failures: list[tuple[int, bool, int, Refused]] = []

    def best(self, graph: Graph, states: States) -> Net | None:
        """The net of the first choice with which the graph can be followed to its end."""
        layers = sum(node.op_type in RECURRENT for node in graph.nodes)
        for inner in (False, True)[: 1 if graph.time or layers < 2 else 2]:
            for axes in islice(_choices(graph, states, self.options), MOST_TRIALS):
                net = self._net(graph, states, axes, inner=inner)
                if net:
                    return net
        return None

    def repeated(self, graph: Graph, states: States) -> Net | None:
        """The net of a graph whose inputs are vectors without time, one of which it repeats to make a sequence of it."""
        vectors = [t for t in graph.inputs if t.name not in states.initial | states.feedback]
        if self.options.time_axis or any(np.prod(t.shape, dtype=np.int64) != max(t.shape, default=1) for t in vectors):
            return None
        nets = (self._net(graph, states, {t.name: None for t in vectors}, n) for n in _repetitions(graph))
        return next((net for net in nets if net), None)

    def _net(
        self, graph: Graph, states: States, axes: Mapping[str, int | None], repeats: int = 0, *, inner: bool = False
    ) -> Net | None:
        """The net of one choice; None, and a failure more, where the graph cannot be followed with it.

        ``inner``: layers may scan frames, but one of them must scan time.
        """
        trace = Trace(graph, states, axes, repeats=repeats)
        fixed = trace.steps if self.options.hop and trace.steps > 1 and not graph.time else 0
        one_step = bool(axes) and all(self.options.time_axis.get(name, 0) is None for name in axes)
        window = self.options.window or fixed
        given = partial(Parts, window=window, hop=self.options.hop, one_step=one_step, inner=inner)
        windowed = blocks = False
        while True:
            parts = given(windowed=windowed or window == trace.steps, blocks=blocks)
            trace = Trace(graph, states, axes, parts, repeats)
            try:
                net = trace.run()
                return net if trace.confirmed or not inner else None
            except NeedsWindow:
                windowed = True
            except Refused as error:
                if isinstance(error, UnlikeRates) and window and not blocks:
                    blocks = True
                    continue
                wrong = isinstance(error, WrongAxis)
                scanned = trace.steps in _scanned(graph)
                self.failures.append((trace.confirmed - wrong, scanned, trace.done - wrong * len(graph.nodes), error))
                return None

    def likeliest(self) -> Refused:
        """What to tell the user: the reason of the choice for which most speaks, and that got furthest."""
        return max(self.failures, key=lambda f: f[:3])[3]


def _scanned(graph: Graph) -> set[int]:
    """How many steps recurrent layers scan, those apart that take a single one."""
    layers = [n for n in graph.nodes if n.op_type in RECURRENT and n.inputs[0] in graph.shapes]
    return {graph.shapes[n.inputs[0]][scanned_axis(n)] for n in layers} - {1}


def _choices(graph: Graph, states: States, options: Options) -> Iterator[Mapping[str, int | None]]:
    """Time axes of the inputs that are no states, likeliest first; all None for a graph that is itself one step."""
    sequences = [t for t in graph.inputs if t.name not in states.initial | states.feedback]
    axes = [_axes(t, graph, options) for t in sequences]
    chosen = list(product(*axes))
    if states.feedback:
        chosen.sort(key=lambda choice: any(a is not None for a in choice))
    for choice in chosen:
        lengths = {t.shape[a] for t, a in zip(sequences, choice, strict=True) if a is not None}
        if len(lengths) <= 1:
            yield {t.name: a for t, a in zip(sequences, choice, strict=True)}


def _repetitions(graph: Graph) -> list[int]:
    """To which lengths Expand and Tile bring an axis of length 1."""
    lengths: dict[int, None] = {}
    for node in graph.nodes:
        if node.op_type in ("Expand", "Tile"):
            after = graph.shapes.get(node.outputs[0], ())
            before = graph.shapes.get(node.inputs[0], ())
            aligned = (1,) * (len(after) - len(before)) + before
            lengths.update((n, None) for m, n in zip(aligned, after, strict=True) if m == 1 < n)
    return list(lengths)


def _axes(tensor: Tensor, graph: Graph, options: Options) -> list[int | None]:
    """Which axes of an input may be time, None for none of them."""
    rank = len(tensor.shape)
    if tensor.name in options.time_axis:
        axis = options.time_axis[tensor.name]
        if axis is None:
            return [None]
        if not -rank <= axis < rank:
            raise UsageError(f"--time-axis {tensor.name}={axis}: it has {rank} axes", where=graph.file)
        return [None if tensor.shape[axis % rank] == 1 else axis % rank]
    if graph.time:
        return [i for i, n in enumerate(tensor.shape) if n == graph.time] or [None]
    longer: list[int | None] = [i for i, n in enumerate(tensor.shape) if n > 1]
    return [*longer, None]
