"""Which values are extended: the states of plain arithmetic, what leads to them, and what is computed from them and read
with all its bits."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

import numpy as np

from rnnc.net import Net, Op
from rnnc.ops.add import Add
from rnnc.ops.affine import Affine

MOVING = ("layout", "putat")
"""Ops that give elements of their inputs as they are."""
MOST_WEIGHTS = 4096
"""Of a matrix in 32 bits: 16 KB."""


def extended_values(net: Net) -> set[str]:
    """The values that have 32 bits with a scale of their own, fed-back states included."""
    makers = {name: op for op in net.ops for name in op.outputs}
    leading, states, derived = _by_plain_arithmetic(net, makers)
    read = (
        n for op in net.ops if op.reads_extended and op.outputs[0] not in leading for n in op.inputs if n in derived
    )
    less = (op.outputs[0] for op in net.ops if _takes_offset(op) and derived.issuperset(op.inputs))
    seen = _backward([*read, *less], makers, lambda op: op.outputs[0] in derived)
    whole = {op.outputs[0] for op in net.ops if op.kind == "dense" and op.reads_extended and op.inputs[0] in derived}
    return _moved(net, leading | states | (seen & derived) | whole)


def derived_values(net: Net) -> set[str]:
    """The values that plain arithmetic makes of such states, and those: they are extended where something reads all bits."""
    return _by_plain_arithmetic(net, {name: op for op in net.ops for name in op.outputs})[2]


def _by_plain_arithmetic(net: Net, makers: Mapping[str, Op]) -> tuple[set[str], set[str], set[str]]:
    """What leads to states of plain arithmetic, these, and what is derived from them."""
    following = _following(net) | _whole_states(net)
    reached = _forward(net, {f.state.name for f in net.feedback}, lambda op: op.passes or op.extends)

    def plain(op: Op) -> bool:
        if op.kind in ("dense", "pickat", *MOVING) or (op.kind == "curve" and not op.reads_extended):
            return op.outputs[0] in (following if op.kind == "dense" else reached)
        return op.extends or (op.passes and _source(op, makers).extends)

    leading = _leading(net, makers, plain)
    states = {f.state.name for f in net.feedback if f.next in leading}
    return leading, states, _forward(net, states, lambda op: op.passes or plain(op))


def _whole_states(net: Net) -> set[str]:
    """The next values of states that layers compute in 32 bits."""
    nexts = {f.next for f in net.feedback}
    whole = (op for op in net.ops if op.kind == "dense" and op.reads_extended)
    return {op.outputs[0] for op in whole if nexts.intersection(net.passed(op.outputs[0]))}


def _takes_offset(op: Op) -> bool:
    """Whether its result may be far smaller than what it is computed from: of an extended value it takes all bits."""
    return isinstance(op, Affine) and bool(np.any(op.offset))


def moved_states(net: Net) -> set[str]:
    """The states that only keep elements: between a state and its next value these are moved, never computed with."""
    moving = set()
    for f in net.feedback:
        after = _forward(net, {f.state.name}, lambda op: True, around=True)
        before = _before(net, f.state.name)
        computed = (op for op in net.ops if not (op.passes or op.kind in MOVING))
        if not any(after.intersection(op.inputs) and before.intersection(op.outputs) for op in computed):
            moving.add(f.state.name)
    return moving


def moved_values(net: Net) -> dict[str, str]:
    """By value the state that keeps its elements, of those that layouts move to states that only keep."""
    makers = {name: op for op in net.ops for name in op.outputs}
    kept, found = moved_states(net), {}
    for f in net.feedback:
        if f.state.name in kept:
            moved = _backward([f.next], makers, lambda op: op.passes or op.kind in MOVING)
            found.update(dict.fromkeys(moved, f.state.name))
    return found


def totals(net: Net) -> set[str]:
    """The states that sum up what comes, within limits or not, and their next values: each is the last plus something else."""
    found: set[str] = set()
    for f in net.feedback:
        between = _before(net, f.next) & _forward(net, {f.state.name}, lambda op: True)
        ops = [op for op in net.ops if between.intersection(op.outputs) and between.intersection(op.inputs)]
        if f.next in between and ops and all(_adds_to(op, between) for op in ops):
            found.update((f.state.name, f.next))
    return found


def _adds_to(op: Op, between: set[str]) -> bool:
    """Whether an op gives one of its inputs plus something else, or limits it."""
    if sum(n in between for n in op.inputs) != 1:
        return False
    if isinstance(op, Add):
        return not (op.subtract and op.inputs[1] in between)
    return op.passes or op.kind == "clip" or (isinstance(op, Affine) and bool(np.all(op.gain == 1)))


def _leading(net: Net, makers: Mapping[str, Op], plain: Callable[[Op], bool]) -> set[str]:
    """The values that plain arithmetic makes the next states of; what it takes from a state that only moves is one as well.

    A sum over a window takes away again what it added: both need the same bits.
    """
    nexts = {f.state.name: f.next for f in net.feedback}
    kept = moved_states(net)
    while True:
        leading = _backward((n for state, n in nexts.items() if state not in kept), makers, plain)
        read = {n for op in net.ops if leading.intersection(op.outputs) for n in op.inputs} & kept
        if not read:
            return leading
        kept -= read


def _before(net: Net, state: str) -> set[str]:
    """The values that a state is made of, over any number of steps."""
    makers = {name: op for op in net.ops for name in op.outputs}
    nexts = {f.state.name: f.next for f in net.feedback}
    found: set[str] = set()
    todo = [state]
    while todo:
        name = todo.pop()
        if name not in found:
            found.add(name)
            todo += makers[name].inputs if name in makers else [nexts[name]] if name in nexts else []
    return found


def _following(net: Net) -> set[str]:
    """The values that follow from fed-back states by linear arithmetic, and lead to them by it."""
    makers = {name: op for op in net.ops for name in op.outputs}

    def linear(op: Op) -> bool:
        weights = op.column_weights(0)
        small = weights is None or weights.size <= MOST_WEIGHTS
        return op.passes or (op.linear and op.extends and small)

    leading = _backward((f.next for f in net.feedback), makers, linear)
    states = {f.state.name for f in net.feedback if f.next in leading}
    return leading & _forward(net, states, linear)


def _backward(ends: Iterable[str], makers: Mapping[str, Op], passes: Callable[[Op], bool]) -> set[str]:
    """The values that some are made of by certain ops, the ends that such ops make included."""
    found: set[str] = set()
    todo = list(ends)
    while todo:
        name = todo.pop()
        op = makers.get(name)
        if op is None or name in found or not passes(op):
            continue
        found.add(name)
        todo += op.inputs
    return found


def _forward(net: Net, start: set[str], passes: Callable[[Op], bool], around: bool = False) -> set[str]:
    """The values that certain ops make of some, and those; ``around``: in later steps too."""
    found, before = set(start), 0
    while len(found) != before:
        before = len(found)
        for op in net.ops:
            if passes(op) and found.intersection(op.inputs):
                found.update(op.outputs)
        if not around:
            break
        found.update(f.state.name for f in net.feedback if f.next in found)
    return found


def _moved(net: Net, found: set[str]) -> set[str]:
    """Also what only moves elements of such values."""
    for op in net.ops:
        if op.kind == "layout" and found.issuperset(op.inputs):
            found.update(op.outputs)
    return found


def _source(op: Op, makers: Mapping[str, Op]) -> Op:
    """The op that computes what a chain of ops passes on."""
    while op.passes and op.inputs[0] in makers:
        op = makers[op.inputs[0]]
    return op
