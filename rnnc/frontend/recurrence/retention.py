"""Sums over all earlier steps that are written as a matrix of T x T weights: retention, linear attention with decay, Mamba-2.

y_t is the sum over s <= t of L_ts (q_t k_s) v_s. Where L_ts decays by a factor a from step to step, that is the recurrence
S_t = a_t S_{t-1} + k_t v_t', y_t = q_t S_t, with a matrix as its state. L is a constant r^(t-s), or exp(A_t - A_s) of sums over
time A, or it is 1 and q and k hold exp(A) and exp(-A).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import reduce

import numpy as np
from numpy.typing import NDArray

from rnnc.frontend.recurrence.products import ProductParts, Products, TimeProduct, balanced, leaves, unsqueezed
from rnnc.frontend.recurrence.scans import scan_over
from rnnc.frontend.rewrite.editor import Editor, scalar_of
from rnnc.frontend.rewrite.patterns import Build, Term, op, tensor
from rnnc.tracing import Node


def retention(editor: Editor, node: Node) -> bool:
    """Whether a product of T x T weights and a sequence is such a sum, which a Scan now computes."""
    shapes = [editor.shape(name) for name in node.inputs]
    if any(s is None or len(s) < 2 for s in shapes):
        return False
    weights, values = (s for s in shapes if s is not None)
    if (
        len(weights) != len(values)
        or weights[-1] != weights[-2]
        or weights[-1] < 2
        or editor.constant(node.inputs[1]) is not None
    ):
        return False
    found = _Weights(editor, weights)
    if not found.read(node.inputs[0]) or found.scores is None or not found.causal:
        return False
    return _write(found, node)


class _Weights:
    """T x T weights, ``[..., t, s]``.

    Attributes:
        scores: the product of queries and keys that they hold.
        causal: whether they are 0 where s > t.
        scale: what they are multiplied by.
        ratio: of constants ``r^(t-s)``: r, in the shape of the weights with one step.
        rows, columns: what is exponentiated, of t and of s, each ``[..., T]`` with a coefficient.
    """

    def __init__(self, editor: Editor, shape: tuple[int, ...]) -> None:
        self.editor, self.shape = editor, shape
        self.scores: Node | None = None
        self.causal, self.scale = False, 1.0
        self.ratio: NDArray[np.float64] | None = None
        self.rows, self.columns = Counter[str](), Counter[str]()

    def read(self, name: str) -> bool:
        """Take a tensor apart; whether all of it is understood."""
        node, constant = self.editor.producer(name), self.editor.constant(name)
        if constant is not None:
            return self._constant(np.asarray(constant, np.float64))
        if node is None:
            return False
        if node.op_type == "Mul":
            return all(map(self.read, node.inputs))
        if node.op_type == "MatMul" and self.scores is None:
            self.scores = node
            return True
        if node.op_type == "Where" and (kept := self._masked(node, 0.0)):
            self.causal = True
            return self.read(kept)
        return node.op_type == "Exp" and self._exponent(node.inputs[0])

    def _masked(self, node: Node, other: float) -> str:
        """What a Where by a constant mask keeps until now, if later steps become ``other``; "" else."""
        mask = self.editor.constant(node.inputs[0])
        until = np.tri(self.shape[-1], dtype=bool)
        for kept, gone, wanted in ((node.inputs[1], node.inputs[2], until), (node.inputs[2], node.inputs[1], ~until)):
            fits = mask is not None and mask.shape[-2:] == until.shape and bool(np.all(mask.astype(bool) == wanted))
            if fits and scalar_of(self.editor.constant(gone)) == other:
                return kept
        return ""

    def _exponent(self, name: str, sign: int = 1) -> bool:
        """Whether an exponent is a sum of what depends on t alone and on s alone, or -inf for later steps."""
        node = self.editor.producer(name)
        if node is None:
            return False
        if node.op_type == "Where" and (kept := self._masked(node, -np.inf)):
            self.causal = True
            return self._exponent(kept, sign)
        if node.op_type in ("Add", "Sub"):
            other = sign if node.op_type == "Add" else -sign
            return self._exponent(node.inputs[0], sign) and self._exponent(node.inputs[1], other)
        source, axes = unsqueezed(self.editor, name, len(self.shape))
        for axis, terms in ((-1, self.rows), (-2, self.columns)):
            if axes == (len(self.shape) + axis,):
                terms[source] += sign
                return True
        return False

    def _constant(self, array: NDArray[np.float64]) -> bool:
        """A number, or ones and powers of a factor below the diagonal and zeros above it."""
        if (number := scalar_of(array)) is not None:
            self.scale *= number
            return True
        steps = self.shape[-1]
        if array.shape[-2:] != (steps, steps) or self.ratio is not None or np.any(np.triu(array, 1)):
            return False
        scale = scalar_of(array[..., 0, 0])
        if not scale:
            return False
        ratio = array[..., 1, :1, None] / scale
        power = np.subtract.outer(np.arange(steps), np.arange(steps))
        self.causal, self.ratio, self.scale = True, ratio, self.scale * scale
        return np.allclose(array, scale * np.where(power >= 0, ratio ** np.maximum(power, 0), 0), atol=1e-7)


@dataclass
class _Sequences:
    """Queries and keys as ``[..., T, n]``, and the factors by which the state decays, ``[..., T, n or 1, 1]``."""

    query: Term
    key: Term
    decays: list[Term] = field(default_factory=list)


def _write(found: _Weights, node: Node) -> bool:
    """Put the Scan in the place of the weights' product with the values."""
    assert found.scores is not None
    sequences = _sequences(found, found.scores)
    if sequences is None or not _exponents(found, sequences):
        return False
    if found.ratio is not None and np.any(found.ratio != 1):
        sequences.decays.append(tensor(found.editor.add_constant(found.ratio.astype(np.float32))))
    return bool(sequences.decays) and _scanned(found, node, sequences)


def _sequences(found: _Weights, scores: Node) -> _Sequences | None:
    """Queries and keys without what grows in them with time, which is the decay; None where it does not cancel."""
    editor, (query, turned) = found.editor, scores.inputs
    rank, node, shape = len(found.shape), editor.producer(turned), editor.shape(query)
    swapped = [*range(rank - 2), rank - 1, rank - 2]
    if shape is None or len(shape) != rank or len(editor.shape(turned) or ()) != rank:
        return None
    if node is None or node.op_type != "Transpose" or list(node.attributes.get("perm", [])) != swapped:
        return _Sequences(tensor(query), op("Transpose", tensor(turned), perm=swapped))
    products = Products(editor, shape, rank - 2)
    one, other = (products.parts(products.product(name)) for name in (query, node.inputs[0]))
    if not any(one.growing.values()):
        return _Sequences(tensor(query), tensor(node.inputs[0]))
    decay = products.decay(one.growing) if balanced(one, other) and one.table is other.table is None else None
    if decay is None:
        return None
    return _Sequences(products.term(one.rest), products.term(other.rest), [op("Unsqueeze", products.term(decay), [-1])])


def _exponents(found: _Weights, sequences: _Sequences) -> bool:
    """Hand what is exponentiated to queries, keys and decay; whether what grows cancels."""
    if not found.rows and not found.columns:
        return True
    products, parts = Products(found.editor, found.shape[:-1], len(found.shape) - 2), list[ProductParts]()
    for terms in (found.rows, found.columns):
        product = TimeProduct()
        for name, sign in terms.items():
            product = product.times(products.exponential(name), sign)
        parts.append(products.parts(product))
    rows, columns = parts
    decay = products.decay(rows.growing) if balanced(rows, columns) and rows.table is columns.table is None else None
    if decay is None or not leaves(decay):
        return False
    sequences.decays.append(op("Unsqueeze", products.term(decay), [-1, -2]))
    if leaves(rows.rest):
        sequences.query *= op("Unsqueeze", products.term(rows.rest), [-1])
    if leaves(columns.rest):
        sequences.key *= op("Unsqueeze", products.term(columns.rest), [-1])
    return True


def _scanned(found: _Weights, node: Node, sequences: _Sequences) -> bool:
    """S = a S + k v', y = scale q S, with the decays multiplied."""
    editor, build, scale = found.editor, Build(found.editor, node), found.scale
    names = [build.tensor(sequences.query), build.tensor(sequences.key), node.inputs[1]]
    shapes = [s for s in map(editor.shape, names) if s is not None]
    if len(shapes) < len(names) or len({s[:-1] for s in shapes}) > 1:
        return False
    *lead, _, keys = shapes[0]
    fixed = [d for d in sequences.decays if editor.constant(build.tensor(d)) is not None]
    moving = [build.tensor(d) for d in sequences.decays if d not in fixed]

    def step(state: Term, frames: Sequence[Term]) -> tuple[Term, Term]:
        query, key, value, *factors = frames
        decayed = reduce(lambda s, a: s * a, [*factors, *fixed], state)
        new = decayed + op("Unsqueeze", key, [-1]) * op("Unsqueeze", value, [-2])
        read = op("Squeeze", op("MatMul", op("Unsqueeze", query, [-2]), new), [-2])
        return new, read if scale == 1 else read * scale

    start = np.zeros((*lead, keys, shapes[2][-1]))
    y = scan_over(build, len(lead), [*names, *moving], start, step)
    return build.put([node], op("Identity", tensor(y)))
