"""Rewriting rules, and terms: what a rule looks for and what it puts in place are written as expressions.

``equation("...", 1 / (1 + op("Exp", x)), op("Sigmoid", -x))`` puts two nodes in the place of three. A left side matches a
node and what computes its inputs: sums and products in either order, numbers as constants of equal elements, the same
variable as the same tensor. The right side takes its place if its shape is the result's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import permutations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnnc.frontend.read.fold import fold
from rnnc.frontend.rewrite.editor import Editor, scalar_of
from rnnc.tracing import Node
from rnnc.views import VIEWS

COMMUTE = ("Add", "Mul", "Max", "Min", "And", "Or", "Xor", "Equal")


@dataclass(frozen=True)
class Rule:
    """A way to rewrite a graph: its name, the operators it is tried at, whether it rewrote what it was tried at."""

    name: str
    rewrite: Callable[[Editor, Node], bool]
    at: tuple[str, ...]


def rule(name: str, rewrite: Callable[[Editor, Node], bool], *at: str) -> Rule:
    """A rule that is more than an equation, tried at nodes of the operators ``at``."""
    return Rule(name, rewrite, at)


@dataclass(frozen=True, eq=False)
class Term:
    """A node of an operator over other terms; where ``op_type`` is "", the tensor or variable ``name``.

    Args:
        name: of a node, too: then the right side may use what matched it; nodes are labelled as ``this`` is.
        holds: what a variable's value must be, None for a tensor that is computed.
        alone: nothing else may read it.
        like: it has the attributes of the node whose place it takes.
    """

    op_type: str = ""
    inputs: tuple[Operand, ...] = ()
    name: str = ""
    holds: Callable[[NDArray[Any] | None], bool] = lambda _: True
    alone: bool = False
    like: bool = False
    attributes: Mapping[str, Any] = field(default_factory=dict)

    def named(self, name: str) -> Term:
        """The same, called by a name on the right side."""
        return replace(self, name=name)

    def read_once(self) -> Term:
        """The same, where nothing else reads it."""
        return replace(self, alone=True)

    def __add__(self, other: Operand) -> Term:
        return Term("Add", (self, other))

    def __radd__(self, other: Operand) -> Term:
        return Term("Add", (other, self))

    def __sub__(self, other: Operand) -> Term:
        return Term("Sub", (self, other))

    def __rsub__(self, other: Operand) -> Term:
        return Term("Sub", (other, self))

    def __mul__(self, other: Operand) -> Term:
        return Term("Mul", (self, other))

    def __truediv__(self, other: Operand) -> Term:
        return Term("Div", (self, other))

    def __rtruediv__(self, other: Operand) -> Term:
        return Term("Reciprocal", (self,)) if other == 1 else Term("Div", (other, self))

    def __pow__(self, other: Operand) -> Term:
        return Term("Pow", (self, other))

    def __neg__(self) -> Term:
        return Term("Neg", (self,))


@dataclass(frozen=True)
class Attribute:
    """A number that is an attribute of the node whose place a term takes, times ``sign``."""

    name: str
    default: float
    sign: float = 1.0


Operand = Term | Attribute | float | Sequence[int] | NDArray[Any] | None
"""What a node reads: a term; a real number; whole numbers, or an array, as they are; None for an input left out."""
Bindings = Mapping[str, str]
"""The tensor that each variable is."""
Values = Mapping[str, NDArray[Any]]
"""The value of each variable that is a constant."""


def op(op_type: str, *inputs: Operand, **attributes: Any) -> Term:
    """A node of an operator."""
    return Term(op_type, inputs, attributes=attributes)


def like(op_type: str, *inputs: Operand) -> Term:
    """A node of an operator with the attributes of the node whose place it takes."""
    return Term(op_type, inputs, like=True)


def tensor(name: str) -> Term:
    """A tensor of the graph."""
    return Term(name=name)


def computed(name: str) -> Term:
    """A variable: any tensor that is no constant."""
    return Term(name=name, holds=lambda array: array is None)


def constant(name: str) -> Term:
    """A variable: any constant."""
    return Term(name=name, holds=lambda array: array is not None)


def unlike(name: str) -> Term:
    """A variable: a constant whose elements are not all the same."""
    return Term(name=name, holds=lambda array: array is not None and scalar_of(array) is None)


def matches(editor: Editor, name: str, term: Operand, bound: Bindings) -> Iterator[Bindings]:
    """The ways in which a tensor is a term, given what variables are bound to."""
    if not isinstance(term, Term):
        if name == "" if term is None else scalar_of(editor.constant(name)) == term:
            yield bound
    elif not term.op_type:
        if bound.get(term.name, name) == name and term.holds(editor.constant(name)):
            yield {**bound, term.name: name}
    else:
        node = editor.producer(name)
        if node is not None and (not term.alone or editor.only_reader(name) is not None):
            yield from node_matches(editor, node, term, {**bound, term.name: name} if term.name else bound)


def node_matches(editor: Editor, node: Node, term: Term, bound: Bindings) -> Iterator[Bindings]:
    """The ways in which a node is a term."""
    if node.op_type != term.op_type or len(node.inputs) != len(term.inputs):
        return
    if any(node.attributes.get(key) != value for key, value in term.attributes.items()):
        return
    for order in permutations(term.inputs) if term.op_type in COMMUTE else (term.inputs,):
        found = [bound]
        for name, part in zip(node.inputs, order, strict=True):
            found = [more for b in found for more in matches(editor, name, part, b)]
        yield from found


def equation(name: str, left: Term, right: Term | Callable[[Values], Term | None]) -> Rule:
    """The rule that puts ``right`` in the place of ``left``; where it depends on constants, what it makes of these."""

    def rewrite(editor: Editor, node: Node) -> bool:
        shape = editor.shape(node.outputs[0])
        for bound in node_matches(editor, node, left, {}):
            values = {key: editor.constants[name] for key, name in bound.items() if name in editor.constants}
            term = right if isinstance(right, Term) else right(values)
            build = Build(editor, node, bound)
            if shape is None or term is None or editor.shape(build.tensor(term)) != shape:
                continue
            return build.put([node], term)
        return False

    return Rule(name, rewrite, (left.op_type,))


def put(editor: Editor, old: Node | list[Node], term: Term) -> bool:
    """Put a term in the place of a node, or of several of which the last gives the result; True."""
    nodes = [old] if isinstance(old, Node) else old
    return Build(editor, nodes[-1]).put(nodes, term)


class Build:
    """The nodes of terms that come in place of a node, labelled as it is, each with the shape of its result noted.

    What constants alone decide becomes one.
    """

    def __init__(self, editor: Editor, node: Node, bound: Bindings | None = None) -> None:
        self.editor, self.node, self.bound = editor, node, bound or {}
        self.nodes: list[Node] = []
        self.made: dict[int, tuple[Operand, str]] = {}
        """The tensor that each operand is; an operand is kept, so that no other one has its id."""
        this = editor.producer(self.bound.get("this", ""))
        self.label = (this or node).name

    def put(self, old: list[Node], term: Term) -> bool:
        """Put a term in the place of nodes; what nothing reads any more goes."""
        result, output = self.tensor(term), self.node.outputs[0]
        if self.nodes and result in self.nodes[-1].outputs:
            self.nodes[-1] = replace(self.nodes[-1], outputs=(output,))
            if self.editor.shape(output) is None and result in self.editor.shapes:
                self.editor.shapes[output] = self.editor.shapes[result]
        else:
            self.nodes.append(Node(self.label, "Identity", "", (result,), (output,)))
        self.editor.replace(old, self.nodes)
        self.editor.sweep(name for node in old for name in node.inputs)
        return True

    def tensor(self, operand: Operand) -> str:
        """The tensor that an operand is."""
        if id(operand) not in self.made:
            self.made[id(operand)] = operand, self._make(operand)
        return self.made[id(operand)][1]

    def _make(self, operand: Operand) -> str:
        if operand is None:
            return ""
        if isinstance(operand, Attribute):
            operand = operand.sign * float(self.node.attributes.get(operand.name, operand.default))
        if not isinstance(operand, Term):
            real = isinstance(operand, float | int)
            array = (
                operand if isinstance(operand, np.ndarray) else np.asarray(operand, np.float32 if real else np.int64)
            )
            return self.editor.add_constant(array)
        if operand.name in self.bound or not operand.op_type:
            return self.bound.get(operand.name, operand.name)
        inputs = tuple(self.tensor(part) for part in operand.inputs)
        attributes = dict(self.node.attributes if operand.like else operand.attributes)
        output = self.editor.fresh(operand.op_type.lower())
        node = Node(self.label, operand.op_type, "", inputs, (output,), attributes)
        values = [self.editor.constant(name) for name in inputs]
        results = fold(node, values, self.editor.graph.opset) if all(v is not None for v in values) else None
        if results is not None:
            return self.editor.add_constant(results[0])
        shape = self._shape(node, values)
        if shape is not None:
            self.editor.shapes[output] = shape
        self.nodes.append(node)
        return output

    def _shape(self, node: Node, values: Sequence[NDArray[Any] | None]) -> tuple[int, ...] | None:
        """The shape of a node's result, where those of its inputs are known."""
        shapes = [self.editor.shape(name) for name in node.inputs]
        known = [s for s in shapes if s is not None]
        if len(known) < len(shapes) or node.op_type == "Conv":  # which takes the place of a node whose shape is known
            return None
        if node.op_type == "Dense":
            return (*known[0][:-1], known[1][0])
        if node.op_type == "SoftmaxPool":
            whole = np.broadcast_shapes(*known)
            return tuple(1 if i == node.attributes["axis"] else n for i, n in enumerate(whole))
        if node.op_type == "PickAt":
            return tuple(node.attributes["shape"])
        if node.op_type == "Embedding":
            return (*known[1], *known[0][1:])
        if node.op_type not in (*VIEWS, "Pad", "MatMul") and not node.op_type.startswith(("Reduce", "Arg")):
            return np.broadcast_shapes(*known)
        arrays = [np.zeros(s, np.float32) if v is None else v for s, v in zip(known, values, strict=True)]
        results = fold(node, arrays, self.editor.graph.opset)
        return None if results is None else results[0].shape
