"""What became of each node of a file: compiled into which op, folded away, or refused, and why."""

from __future__ import annotations

import re
from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from rnnc.errors import ModelError, RnncError
from rnnc.frontend.read.limits import inner_graphs
from rnnc.frontend.read.load import read_model
from rnnc.frontend.rewrite.editor import cone, reached
from rnnc.frontend.rewrite.rules import JUMPING, RULES, canonical
from rnnc.frontend.stream.reasons import advice
from rnnc.frontend.stream.streaming import prepared
from rnnc.net import Net
from rnnc.options import Options
from rnnc.tracing import HANDLERS, Graph, Node, Rewriting
from rnnc.views import VIEWS

if TYPE_CHECKING:
    from onnx import NodeProto

Status = Literal["compiled", "folded", "refused", "not reached"]
PLUMBING = ("Constant", "ConstantOfShape", "Shape", "Size", "Loop", "Scan", "If")
"""Operators that are known though nothing turns them into ops: what is left of them folds away, or unrolls."""
SAME = ("Identity", "Dropout", "Cast")
LINEAR = {"MatMul", "Gemm", "Einsum", "Add", "Sub", "Mul", "Div", "BatchNormalization", *SAME, *VIEWS}
"""What a Dense layer can be made of."""
NAMED = re.compile(r"node '(.*?)'")
MOST_OPS = 3
"""Of one node that are named."""


@dataclass(frozen=True)
class Finding:
    """What became of a node: its name (or first output) and operator, and why."""

    node: str
    op_type: str
    status: Status
    why: str


def known_operators() -> set[str]:
    """ONNX's operators that some file may hold and be compiled."""
    own = {"Dense", "Embedding", "Normalize", "Magnitude", "MeanSquare", "SoftmaxPool"}
    return {*HANDLERS, *(k for rule in (*RULES, *JUMPING) for k in rule.at), *PLUMBING} - own


def survey(
    source: str | Path | bytes,
    options: Options,
    graph: Graph | None = None,
    net: Net | None = None,
    error: ModelError | None = None,
) -> list[Finding]:
    """A finding for each node of a file, in its order; those inside of a Loop or Scan belong to that.

    Args:
        source: the file.
        graph: what ``load`` made of it, None where it failed.
        net: what ``to_stream`` made of that, None where it failed.
        error: why one of them failed, None where both did not.

    Raises UnreadableModel where the file cannot be read at all.
    """
    model = read_model(source, options.external_data).model
    found = _Survey([_Part.of(n) for n in model.graph.node], [o.name for o in model.graph.output])
    found.constants = {i.name for i in model.graph.initializer} | (
        options.bind.keys() & {i.name for i in model.graph.input}
    )
    if graph is not None:
        found.final = _prepared(graph, options) or graph  # why it cannot be is told as error
    if net is not None:
        for op in net.ops:
            found.ops.setdefault(op.node, []).append(op.name)
        found.absorbing = {op.name for op in net.ops if op.outputs[0].split(".")[0] != op.name}
    return list(found.of_refused(error) if error is not None else found.of_compiled())


def rewritings(graph: Graph, options: Options) -> list[Rewriting]:
    """Which rules rewrote which nodes of a loaded graph, those in bodies of loops after the loop.

    Of a graph that cannot be followed to its end, those of the rules that come before all others.
    """
    return list(_rewritings(_prepared(graph, options) or canonical(graph)))


def _prepared(graph: Graph, options: Options) -> Graph | None:
    """As ``prepared``; None where the graph is refused there, or contradicts itself."""
    try:
        return prepared(graph, options)[0]
    except RnncError:
        return None
    except Exception:
        if not graph.broken:
            raise
        return None


def _rewritings(graph: Graph) -> Iterator[Rewriting]:
    yield from graph.rewritings
    for node in graph.nodes:
        for body in node.attributes.values():
            if isinstance(body, Graph):
                yield from _rewritings(body)


@dataclass(frozen=True, eq=False)
class _Part(Node):
    """A node of the file: its own name, and all that is read and named in it and inside of it."""

    labels: frozenset[str] = frozenset()

    @staticmethod
    def of(node: NodeProto) -> _Part:
        """A node with what its subgraphs read from outside and the names inside them."""
        inner = [n for graph in inner_graphs(node, "") for n in graph.node]
        made = {o for n in inner for o in n.output}
        read = (*node.input, *(i for n in inner for i in n.input if i not in made))
        labels = {o for n in (node, *inner) for o in n.output} | {n.name for n in (node, *inner)}
        outputs = tuple(o for o in node.output if o)
        name = node.name or next(iter(outputs), "")
        return _Part(name, node.op_type, "", read, outputs, labels=frozenset(labels - {""}))


@dataclass
class _Survey:
    """The nodes of a file, the graph that was walked through in the end, and the ops of the net by node."""

    parts: Sequence[_Part]
    outputs: Sequence[str]
    constants: set[str] = field(default_factory=set)
    final: Graph | None = None
    ops: dict[str, list[str]] = field(default_factory=dict)
    absorbing: set[str] = field(default_factory=set)
    """Ops that took in what reads them."""

    def of_compiled(self) -> Iterator[Finding]:
        """Every node compiled or folded."""
        static, live, direct = self._static(), self._live(), self._direct()
        readers, twins = self._readers(), {_twin(p, static): ops for p in self.parts if (ops := direct.get(p.name))}
        taken: dict[str, list[str]] = {}
        """For each tensor the ops that it comes from, views followed."""
        for part in self.parts:
            status, why = self._folded(part, static, live)
            before = [taken[n] for n in part.inputs if n in taken]
            ops = direct.get(part.name, [])
            if not status and not ops:
                alone = len(before) == sum(n not in static for n in part.inputs) == 1
                alone = alone and all(len(readers[n]) == 1 for n in part.inputs if n in taken)
                inside = alone and (self.absorbing.intersection(before[0]) or self._moved(part))
                ops = before[0] if inside else twins.get(_twin(part, static), [])
                after, nearest = self._following(part, direct, readers, static)
                ops = ops or after or (before[0] if before else nearest)
                status, why = ("compiled", f"part of {_listed(ops)}") if ops else ("folded", "changes nothing")
            if not status:
                status, why = "compiled", _listed(ops)
            if ops:
                twins.setdefault(_twin(part, static), ops)
            if ops or before:
                taken.update(dict.fromkeys(part.outputs, ops or before[0]))
            yield Finding(part.name, part.op_type, status, why)

    def of_refused(self, error: ModelError) -> Iterator[Finding]:
        """The node that is in the way with the reason; those before it, and those that need it."""
        static, live = self._static(), self._live()
        named = NAMED.search(error.where)
        culprit = self._culprit(named.group(1)) if named else None
        blocked = reached(self.parts, culprit.outputs if culprit else {n for p in self.parts for n in p.outputs})
        for part in self.parts:
            status, why = self._folded(part, static, live)
            if part is culprit:
                status, why = "refused", error.what
            elif not status and part.op_type not in known_operators():
                status, why = "refused", advice(part.op_type)[0]
            elif not status and not blocked.isdisjoint(part.outputs):
                status, why = "not reached", "needs what is refused" if culprit else "the file is refused as a whole"
            elif not status:
                status, why = "compiled", ""
            yield Finding(part.name, part.op_type, status, why)

    def _folded(self, part: _Part, static: set[str], live: set[str]) -> tuple[Status | Literal[""], str]:
        """Whether a node goes away for a reason of its own."""
        if static.issuperset(part.outputs):
            return "folded", "a constant"
        if not live.intersection(part.outputs):
            return "folded", "a state, kept inside" if self.kept.intersection(part.outputs) else "no result needs it"
        if part.op_type in SAME:
            return "folded", "changes nothing"
        if part.op_type in VIEWS and not self._named_ops(part.labels):
            return "folded", "moves elements only"
        return "", ""

    def _named_ops(self, labels: Container[str]) -> list[str]:
        """The ops of the nodes of these names, in the order of the net."""
        return [op for node, ops in self.ops.items() if node in labels for op in ops]

    def _direct(self) -> dict[str, list[str]]:
        """The ops of the nodes that have some: by their own name, or by that of the node that computes what they did."""
        inner = {} if self.final is None else {o: n for n in self.final.nodes for o in n.outputs if o}
        direct = {}
        for part in self.parts:
            ops = self._named_ops(part.labels)
            for node in (inner[o] for o in part.outputs if o in inner):
                ops += [op for op in self._named_ops(_labels(node)) if op not in ops]
            if ops:
                direct[part.name] = ops
        return direct

    def _static(self) -> set[str]:
        """Tensors that do not depend on what comes in; lengths do not."""
        static = {"", *self.constants}
        for part in self.parts:
            if part.op_type in ("Shape", "Size") or static.issuperset(part.inputs):
                static.update(part.outputs)
        return static

    def _live(self, results: Sequence[str] = ()) -> set[str]:
        """Tensors that results need, or those that the net has and its states."""
        wanted = set(results or self.outputs)
        if self.final is not None and not results:
            wanted = {*self.final.wanted, *(o.name for o in self.final.outputs)}
        return wanted.union(*(part.inputs for part in cone(self.parts, wanted)))

    @cached_property
    def kept(self) -> set[str]:
        """Tensors that any output of the file needs."""
        return self._live(self.outputs)

    def _readers(self) -> Mapping[str, list[_Part]]:
        readers: dict[str, list[_Part]] = {}
        for part in self.parts:
            for name in part.inputs:
                readers.setdefault(name, []).append(part)
        return readers

    def _moved(self, part: _Part) -> bool:
        """Whether what computes its result in the end only moves elements: what it did is done before."""
        ends = [n for n in self.final.nodes if set(part.outputs) & set(n.outputs)] if self.final else []
        return bool(ends) and all(n.op_type in VIEWS for n in ends)

    def _following(
        self, part: _Part, direct: Mapping[str, list[str]], readers: Mapping[str, list[_Part]], static: set[str]
    ) -> tuple[list[str], list[str]]:
        """The ops of the nearest node after this one that can be made of what lies between, and those of the nearest."""
        queue, seen = [(part, self._is_linear(part, static))], {part.name}
        nearest: list[str] = []
        while queue:
            here, linear = queue.pop(0)
            ops = direct.get(here.name, [])
            nearest = nearest or ops
            if ops and (linear or not all(op.startswith("dense") for op in ops)):
                return ops, nearest
            fresh = [r for o in here.outputs for r in readers.get(o, ()) if r.name not in seen]
            seen.update(r.name for r in fresh)
            queue += [(r, linear and self._is_linear(r, static)) for r in fresh]
        return [], nearest

    @staticmethod
    def _is_linear(part: _Part, static: set[str]) -> bool:
        """Whether a Dense layer can take a node in: of one computed tensor."""
        return part.op_type in LINEAR and sum(n not in static for n in part.inputs) == 1

    def _culprit(self, name: str) -> _Part | None:
        """The node that a message names: itself, what computes the tensor, or what it stands for in the end."""
        found = next((p for p in self.parts if p.name == name), None)
        if found is None:
            found = next((p for p in self.parts if name in p.labels), None)
        if found is None and self.final is not None:
            ends = {o for n in self.final.nodes if name in _labels(n) for o in n.outputs}
            found = next((p for p in self.parts if ends.intersection(p.outputs)), None)
        return found


def _twin(part: _Part, static: set[str]) -> tuple[str, ...]:
    """What nodes have in common that do the same to another tensor; its own name where it has no constants."""
    constants = tuple(n for n in part.inputs if n in static and n)
    return (part.op_type, *constants) if constants else (part.name,)


def _labels(node: Node) -> set[str]:
    """What ops may be named after for a node, or for those inside of it."""
    inner = [n for value in node.attributes.values() if isinstance(value, Graph) for n in value.nodes]
    return {node.name or node.outputs[0]}.union(*(_labels(n) for n in inner))


def _listed(ops: Sequence[str]) -> str:
    return ", ".join(ops[:MOST_OPS]) + (f" and {len(ops) - MOST_OPS} more" if len(ops) > MOST_OPS else "")
