"""A whole recording that would become one frame: an unrolled sequence whose cell is not recognised is refused.

Such a network has no state, and an input whose frame still has an axis along which the file repeats one body, each copy
reading the one before; or along which it sums up, or relates each place to every other, as attention does.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterator
from dataclasses import dataclass
from itertools import chain

from rnnc.errors import Refused
from rnnc.frontend.read.fold import complete_shapes
from rnnc.frontend.recurrence.copies import Copies, all_copies, all_named, sources
from rnnc.frontend.recurrence.takes import LONGEST_PERIOD, SHORTEST, Take, find_takes, regular
from rnnc.frontend.recurrence.unrolled import MOST_FIRST, bodies
from rnnc.frontend.rewrite.editor import Editor
from rnnc.frontend.rewrite.twins import kind
from rnnc.net import Net
from rnnc.tracing import Graph, Node, Tensor

SHARE = 0.5
"""Of the nodes of a step, or of its weights by their number, that the next step has as well, where one body is repeated."""
WEIGHTED = ("MatMul", "Gemm", "Dense", "Conv", "GRU", "LSTM", "RNN")
"""Operators whose constants are weights of a layer."""
HINT = "Export the step alone, its state as input and output, or a loop that is not unrolled."


def check_recording(graph: Graph, net: Net, fixed: frozenset[str]) -> None:
    """Raise Refused where a net without state takes a whole sequence as one frame.

    Args:
        graph: as loaded.
        net: what became of it.
        fixed: inputs of which the user says that no axis is time.
    """
    if net.feedback or any(op.states() for op in net.ops):
        return
    frames = {v.name: v.shape for v in net.inputs if v.name not in fixed}
    inputs = [t for t in graph.inputs if t.name in frames]
    graph = complete_shapes(graph)
    editor = Editor(all_named(regular(graph, fixed) or graph))
    for copies in all_copies(editor, fixed):
        name, axis = _axis(copies, inputs)
        period = _period(copies) if copies.length in frames.get(name, ()) else 0
        if not period:
            continue
        node, why = _difference(copies) if period == 1 else _far_copy(copies, period)
        body = f"one body {copies.length} times" if period == 1 else f"a body of {period} steps"
        raise _one_frame(graph, name, axis, f"repeats {body}, and {why}", node)
    editor = Editor(all_named(graph))
    for tied in _chains(editor):
        axes = (_read_axis(editor, take.sequence, take.axis, inputs) for take in tied.takes)
        name, axis = next((found for found in axes if found[0]), ("", 0))
        if name:
            what = f"applies the same weights {tied.length} times, each time to what came before and to other elements"
            raise _one_frame(graph, name, axis, what, tied.node)


def _one_frame(graph: Graph, name: str, axis: int, what: str, node: Node) -> Refused:
    return Refused(
        f"along axis {axis} of input {name!r} the file {what}: the whole recording would be one frame",
        where=f"{graph.file}: {node.label}",
        steps=next(t.shape[axis] for t in graph.inputs if t.name == name),
        hint=f"{HINT} If it is meant as one frame: --time-axis {name}=none.",
    )


@dataclass(frozen=True)
class _Chain:
    """Nodes of the same weights, each reading the one before and more of a sequence: how many, the last, what they read."""

    length: int
    node: Node
    takes: list[Take]


def _chains(editor: Editor) -> Iterator[_Chain]:
    """Chains as long as an unrolled loop, whatever the order in which they read the sequence.

    What is taken out of a result of the chain itself, such as the gates of a cell, is not more of the sequence.
    """
    takes = find_takes(editor)
    read: dict[str, frozenset[str]] = {}
    """The takes that a tensor depends on."""
    chains: dict[str, dict[str, tuple[int, frozenset[str]]]] = {}
    """For each weight, how many of its nodes a tensor comes from, each reading more, and the takes of the last."""
    for node in editor.nodes:
        own = frozenset().union(*(read.get(name, frozenset()) for name in node.inputs))
        longest = dict[str, tuple[int, frozenset[str]]]()
        for weight, found in chain.from_iterable(chains.get(name, {}).items() for name in node.inputs):
            longest[weight] = max(longest.get(weight, found), found, key=lambda f: f[0])
        for weight in node.inputs if node.op_type in WEIGHTED and own else ():
            length, seen = longest.get(weight, (0, frozenset()))
            if editor.constant(weight) is not None and own > seen:
                longest[weight] = length + 1, own
                if length + 1 >= SHORTEST:
                    yield _Chain(length + 1, node, [takes[name] for name in sorted(own)])
        outer = all(length < 2 for length, _ in longest.values())
        for name in node.outputs:
            read[name] = own | {name} if name in takes and outer else own
            chains[name] = longest


def check_relations(graph: Graph, net: Net, fixed: frozenset[str]) -> None:
    """Raise Refused where a net of one step, without state, sums up or multiplies matrices along an axis of its frames.

    Args:
        graph: as it was walked through.
        net, fixed: as in ``check_recording``.
    """
    if net.length != 1 or net.feedback or any(op.states() for op in net.ops):
        return
    frames = {v.name: v.shape for v in net.inputs if v.name not in fixed and len(v.shape) > 1}
    for node in graph.nodes:
        for name, length in ((name, n) for name, shape in frames.items() for n in shape if n in _related(graph, node)):
            what = "sums up" if node.op_type == "CumSum" else "relates each place to others"
            raise Refused(
                f"{what} along an axis of {length} of input {name!r}: if that is time, the whole recording would be one frame",
                where=f"{graph.file}: {node.label}",
                steps=length,
                hint=f"If it is meant as one frame: --time-axis {name}=none.",
            )


def _related(graph: Graph, node: Node) -> set[int]:
    """The lengths of the axes along which a node relates places of one tensor to each other."""
    shapes = [graph.shapes.get(name, ()) for name in node.inputs]
    if node.op_type == "CumSum" and node.inputs[1] in graph.constants and shapes[0]:
        return {shapes[0][int(graph.constants[node.inputs[1]].ravel()[0])]}
    if node.op_type == "MatMul" and not graph.constants.keys() & set(node.inputs) and min(map(len, shapes)) > 1:
        return {*shapes[0][-2:], shapes[1][-1]} - {1}
    return set()


def _axis(copies: Copies, inputs: list[Tensor]) -> tuple[str, int]:
    """The input, and its axis, that the frames are steps of; "" where there is none."""
    frame = next(iter(copies.frames.values()))
    return _read_axis(copies.editor, frame.sequence, frame.axis, inputs)


def _read_axis(editor: Editor, sequence: str, axis: int, inputs: list[Tensor]) -> tuple[str, int]:
    """The input that a sequence is made of, and the axis of it that is the sequence's; "" where there is none."""
    if sequence in [t.name for t in inputs]:
        return sequence, axis
    length, read = (editor.shape(sequence) or ())[axis], sources(editor, sequence)
    return next(((t.name, t.shape.index(length)) for t in inputs if t.name in read and length in t.shape), ("", 0))


def _period(copies: Copies) -> int:
    """After how many steps each one in the middle has mostly its nodes again, weights included; 0 where none reads from before.

    It is 1 for a cell, 2 for two that take turns.
    """
    first = _first(copies)
    steps = copies.blocks[first:-1]
    if not all(steps):
        return 0
    for t, block in enumerate(steps, first):
        read = (name for node in block for name in node.inputs if name not in copies.frames)
        if not any(0 <= copies.at(name) < t for name in read):
            return 0
    weighted = any(_weights(copies, n) for n in steps[0])
    steps = [[n for n in block if _weights(copies, n) or not weighted] for block in steps]
    periods = range(1, min(LONGEST_PERIOD if weighted else 1, len(steps) - 1) + 1)
    return next(
        (p for p in periods if all(_mostly_alike(copies, a, b) for a, b in zip(steps, steps[p:], strict=False))), 0
    )


def _mostly_alike(copies: Copies, first: list[Node], second: list[Node]) -> bool:
    """Whether two steps have most of their nodes in common, or most of their weights."""
    nodes = [Counter(_local(copies, n) for n in step) for step in (first, second)]
    weights = [Counter({_local(copies, n): _weights(copies, n) for n in step}) for step in (first, second)]
    return any((a & b).total() >= SHARE * max(a.total(), b.total(), 1) for a, b in (nodes, weights))


def _weights(copies: Copies, node: Node) -> int:
    """How many weights a node has."""
    arrays = (copies.editor.constant(n) for n in node.inputs)
    return sum(a.size for a in arrays if a is not None and a.size > 1 and a.dtype.kind == "f")


def _local(copies: Copies, node: Node) -> Hashable:
    """What a node is, without where its inputs come from."""
    return kind(node), *(copies.constant(n) for n in node.inputs)


def _first(copies: Copies) -> int:
    """The first step whose nodes are compared with the next one's: those at the start may look different."""
    return max(1, min(MOST_FIRST, copies.length - 4))


def _far_copy(copies: Copies, period: int) -> tuple[Node, str]:
    """A node that the next step has no copy of, and where its copy is."""
    here, there = (copies.blocks[_first(copies) + k] for k in (0, 1))
    others = {_local(copies, n) for n in there}
    node = next((n for n in here if _local(copies, n) not in others), here[0])
    return node, f"the copy of this node is {period} steps on, not in the next"


def _difference(copies: Copies) -> tuple[Node, str]:
    """The node where the copies differ, and how."""
    for t in range(_first(copies), copies.length - 2):
        left = Counter(_local(copies, n) for n in copies.blocks[t])
        for node in copies.blocks[t + 1]:
            if not left[_local(copies, node)]:
                return node, f"step {t} has no copy of this node of step {t + 1}"
            left[_local(copies, node)] -= 1
    for body in chain.from_iterable(bodies(copies)):
        if not body.repeats() and body.trouble is not None:
            return body.trouble
        if body.states:
            return copies.blocks[0][0], "no constant state is found that the first step starts from"
    return copies.blocks[1][0], "its steps are not told apart"
