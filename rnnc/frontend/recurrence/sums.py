"""Linear recurrences that a file computes for a whole sequence at once, by sums over time, as one step each.

h_t = a_t h_{t-1} + b_t is exp(A_t) CumSum(exp(-A_s) b_s), where A sums up log a: minGRU and minLSTM in log space, Mamba, and
what decays are written so. What grows with A cancels between what is summed up and what the sum is multiplied by
(``products``). The recurrence never overflows; the file's sums do.
"""

from __future__ import annotations

import numpy as np

from rnnc.frontend.recurrence.products import (
    BEHIND_FIRST,
    Numbers,
    ProductParts,
    Products,
    SequenceFactor,
    TimeProduct,
    balanced,
    leaves,
)
from rnnc.frontend.recurrence.retention import retention
from rnnc.frontend.recurrence.scans import scan_over
from rnnc.frontend.rewrite.editor import Editor, reached
from rnnc.frontend.rewrite.patterns import Build, op, tensor
from rnnc.frontend.rewrite.rules import RULES, apply
from rnnc.tracing import Graph, Node

SUMS = "sums over time = Scan"
"""The rule's name."""


def linear_recurrences(graph: Graph) -> Graph:
    """The graph with a Scan in the place of each linear recurrence that is written with sums over time."""
    if any(node.op_type == "CumSum" or _squares(graph, node) for node in graph.nodes):
        editor, found = Editor(apply(graph, RULES)), False
        while any(_rewrite(editor, node) for node in editor.nodes):
            found = True
        graph = editor.finish() if found else graph
    return graph


def _squares(graph: Graph, node: Node) -> bool:
    """Whether a node may multiply weights of each step by each."""
    shape = graph.shapes.get(node.inputs[0], ()) if node.op_type in ("MatMul", "Einsum") else ()
    return len(shape) > 1 and shape[-1] == shape[-2] > 1 and node.inputs[0] not in graph.constants


def _rewrite(editor: Editor, node: Node) -> bool:
    """Whether a node is part of a recurrence, which a Scan now computes."""
    if node not in editor:
        return False
    if node.op_type == "CumSum":
        return _Sum(editor, node).rewrite()
    if node.op_type == "MatMul" and retention(editor, node):
        editor.note(SUMS, node)
        return True
    return False


class _Sum(Products):
    """A CumSum: what it sums up, and what its result is multiplied by."""

    def __init__(self, editor: Editor, node: Node) -> None:
        shape, axes = editor.shape(node.outputs[0]) or (), editor.constant(node.inputs[1])
        axis = int(axes.ravel()[0]) % len(shape) if axes is not None and shape else -1
        super().__init__(editor, shape, axis, node.outputs[0])
        self.node = node

    def rewrite(self) -> bool:
        """Put a Scan in the place of the recurrence, if there is one; whether there is."""
        flags = [self.node.attributes.get(flag, 0) for flag in ("exclusive", "reverse")]
        if self.axis < 0 or self.shape[self.axis] < 2 or any(flags):
            return False
        behind = reached(self.editor.nodes, self.node.outputs)
        for result in self.editor.nodes:
            if result.op_type in ("Mul", "Div", "Exp") and not behind.isdisjoint(result.inputs):
                self.start = None
                if self._rewrite(result):
                    return True
        return False

    def _rewrite(self, result: Node) -> bool:
        """Whether a node gives the recurrence, which a Scan then does in its place."""
        product = self.product(result.outputs[0])
        if product.factors.pop(SequenceFactor(self.total), 0) != 1:
            return False
        first = self._after_first(result)
        summed, scaled = self.parts(self.product(self.node.inputs[0])), self.parts(product)
        if not balanced(summed, scaled) or (self.start is not None and not self._from_zero(scaled)):
            return False
        decay = self._decay(scaled, summed, padded=first is not None)
        if decay is None:
            return False
        return _Writer(self, result, first).write(decay, summed, scaled)

    def _from_zero(self, scaled: ProductParts) -> bool:
        """Whether what the sums are multiplied by starts to grow, or decay, from 1 at the first step."""
        return scaled.table is None and not leaves(scaled.common) and not any(leaf.turned for leaf in scaled.growing)

    def _after_first(self, result: Node) -> Node | None:
        """The Slice that leaves out the first step of a result, which is what the recurrence starts from."""
        reader = self.editor.only_reader(result.outputs[0])
        return reader if reader is not None and self.sliced(reader.outputs[0], BEHIND_FIRST) else None

    def _decay(self, scaled: ProductParts, summed: ProductParts, *, padded: bool) -> TimeProduct | None:
        """a, the factor from step to step; None where there is none, or where it lies in the future."""
        decay = self.decay(scaled.growing, padded=padded)
        if decay is None or (scaled.table is None and summed.table is None):
            return decay if decay and leaves(decay) else None
        if scaled.table is None or summed.table is None or padded:
            return None
        axis = self.own(scaled.table.shape)
        first, ratio = (np.take(scaled.table, [i], axis) for i in (0, 1))
        ratio = ratio / first
        steps = np.arange(scaled.table.shape[axis]).reshape([-1 if i == axis else 1 for i in range(scaled.table.ndim)])
        both = scaled.table * summed.table
        if not np.allclose(scaled.table, first * ratio**steps) or not np.allclose(both, np.take(both, [0], axis)):
            return None
        summed.rest.factors[SequenceFactor(self.editor.add_constant(np.take(both, [0], axis).astype(np.float32)))] += 1
        decay.factors[SequenceFactor(self.editor.add_constant(ratio.astype(np.float32)))] += 1
        return decay


class _Writer:
    """Puts a Scan in the place of a recurrence.

    Args:
        sums: what was found.
        result: the node that gives all steps.
        first: the Slice that leaves out the first of them, which is the state that it starts from; None if it is a step.
    """

    def __init__(self, sums: _Sum, result: Node, first: Node | None) -> None:
        self.sums, self.editor, self.old, self.padded = sums, sums.editor, first or result, first is not None
        self.build = Build(self.editor, self.old)

    def write(self, decay: TimeProduct, summed: ProductParts, scaled: ProductParts) -> bool:
        """Whether that can be written; ``decay`` is a, ``summed`` b, ``scaled`` what h is multiplied by."""
        taken, given = self._behind(summed.rest), self._behind(scaled.rest)
        if taken is None or given is None:
            return False
        (start, summed_rest), (_, scaled_rest) = taken, given
        a, b = (self.build.tensor(self.sums.term(p)) for p in (decay, summed_rest))
        shapes = [s for s in map(self.editor.shape, (a, b)) if s is not None]
        if len(shapes) < 2 or len(shapes[1]) != len(self.sums.shape):
            return False
        whole, axis = np.broadcast_shapes(*shapes), self.sums.axis
        frame = (*whole[:axis], *whole[axis + 1 :])
        first = np.broadcast_to(start, (*whole[:axis], 1, *whole[axis + 1 :])).reshape(frame)
        scan = scan_over(self.build, axis, [a, b], first, lambda h, frames: (h * frames[0] + frames[1],) * 2)
        self.editor.note(SUMS, self.old)
        h = tensor(scan)
        term = self.sums.term(scaled_rest) * h if leaves(scaled_rest) else op("Identity", h)
        return self.build.put([self.old], term)

    def _behind(self, product: TimeProduct) -> tuple[Numbers, TimeProduct] | None:
        """The value of the first step, which is the start, and the product behind it; None where they cannot be told apart."""
        start, behind = np.ones(()), TimeProduct()
        if any(leaf.turned for leaf in leaves(product)):
            return None
        if not self.padded:
            return np.zeros(()) if self.sums.start is None else self.sums.start, product
        if self.sums.start is not None:
            return None
        for which in ("factors", "exponents"):
            for leaf, count in getattr(product, which).items():
                parted = self._parted(leaf.name)
                if parted is None:
                    return None
                value, name = parted
                start = start * (value**count if which == "factors" else np.exp(count * value))
                getattr(behind, which)[SequenceFactor(name)] += count
        return start, behind

    def _parted(self, name: str) -> tuple[Numbers, str] | None:
        """The first step of a tensor, where it is a constant, and the tensor behind it."""
        editor, sums = self.editor, self.sums
        node, constant = editor.producer(name), editor.constant(name)
        if constant is not None and sums.steps(name) == 1:
            return np.asarray(constant, np.float64), name
        if constant is not None or node is None:
            return None
        if (inner := sums.behind_zero(name)) is not None:
            return np.zeros(()), inner
        joined = node.op_type == "Concat" and len(node.inputs) == 2 and len(editor.shape(name) or ()) == len(sums.shape)
        if not joined or int(node.attributes["axis"]) % len(sums.shape) != sums.axis:
            return None
        front = editor.constant(node.inputs[0])
        if front is None or front.shape[sums.axis] != 1 or not np.all(np.isfinite(front)):
            return None
        return np.asarray(front, np.float64), node.inputs[1]
