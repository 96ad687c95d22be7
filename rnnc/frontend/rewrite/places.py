"""Whole numbers that a file of one step keeps and computes with: places in rings and caches, counters.

They become real numbers that are whole. Decisions (comparisons, places) are made of rounded numbers, and what rounds down
does so half way between two of them, so that no rounding of the arithmetic can change one. A counter without end that only
remainders and limits are taken of goes round where all of these come again: it is right for ever.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from rnnc.errors import Refused
from rnnc.frontend.read.naming import stem
from rnnc.frontend.rewrite.editor import Editor, scalar_of
from rnnc.frontend.rewrite.elements import sources
from rnnc.frontend.rewrite.indexed import place_at, set_by_choice
from rnnc.frontend.rewrite.patterns import Term, op, put, tensor
from rnnc.tracing import Graph, Node
from rnnc.views import VIEWS

COMPARISONS = ("Equal", "Greater", "GreaterOrEqual", "Less", "LessOrEqual")
ARITHMETIC = ("Add", "Sub", "Mul", "Div", "Mod", "Neg", "Abs", "Min", "Max", "Clip", "Where")
TRUTHS = (*COMPARISONS, "Not", "And", "Or", "Xor")
BOOL = 9
"""Its element type in ONNX."""
INTEGERS = (2, 3, 4, 5, 6, 7, 12, 13)
"""Those of the integers."""
MOST = 32_767
"""The largest whole number that is told apart from its neighbours."""


def whole_states(graph: Graph, given: Mapping[str, str]) -> tuple[Graph, dict[str, str]]:
    """The graph with real numbers for the whole ones that it keeps, and which outputs are their next values.

    Args:
        given: what the user says is the next value of an input, "none" where it is no state.

    Raises Refused where whole numbers are divided by what is computed.
    """
    pairs = _pairs(graph, given)
    numbers = _Numbers(Editor(graph), dict(pairs))
    while pairs:
        numbers = _Numbers(Editor(graph), dict(pairs)).followed()
        wrong = [name for name, output in pairs.items() if output not in numbers.whole]
        if not wrong:
            break
        for name in wrong:
            del pairs[name]
    if not pairs:
        return graph, {}
    numbers.rewrite()
    done = numbers.editor.finish()
    ends = {*pairs, *pairs.values()}
    inputs, outputs = (
        tuple(replace(t, dtype="float32") if t.name in ends else t for t in ports)
        for ports in (done.inputs, done.outputs)
    )
    return replace(done, inputs=inputs, outputs=outputs), pairs


def _pairs(graph: Graph, given: Mapping[str, str]) -> dict[str, str]:
    """Inputs of one whole number, each with the output of whole numbers that the user or its name says is its next value."""
    pairs: dict[str, str] = {}
    outputs = {o.name: o for o in graph.outputs}
    for t in graph.inputs:
        if np.dtype(t.dtype).kind not in "iu" or math.prod(t.shape) != 1 or given.get(t.name) == "none":
            continue
        named = [o.name for o in graph.outputs if o.shape == t.shape and o.name not in given.values()]
        named = [given[t.name]] if t.name in given else [n for n in named if stem(n) == stem(t.name)]
        named = [n for n in named if n in outputs and n not in pairs.values()]
        if len(named) == 1:
            pairs[t.name] = named[0]
    return pairs


@dataclass
class _Numbers:
    """The whole numbers of a graph that follow from its states."""

    editor: Editor
    pairs: dict[str, str]
    whole: set[str] = field(default_factory=set)
    """Tensors of integers."""
    real: set[str] = field(default_factory=set)
    """The same numbers, cast to real ones."""

    def followed(self) -> _Numbers:
        """All that is whole, the states being so."""
        self.whole.update(self.pairs)
        for node in self.editor.nodes:
            if node.op_type == "Cast":
                self._cast(node)
            elif node.op_type in (*VIEWS, *ARITHMETIC):
                read = [n for n in node.inputs[node.op_type == "Where" :] if n]
                read = read if node.op_type == "Concat" or node.op_type in ARITHMETIC else read[:1]
                if self.whole.intersection(read) and all(n in self.whole or self._integers(n) for n in read):
                    self.whole.update(node.outputs)
                elif self.real.intersection(read) and node.op_type in VIEWS and node.op_type != "Concat":
                    self.real.update(node.outputs)
        return self

    def _cast(self, node: Node) -> None:
        """A cast of whole numbers, and of truth values to integers."""
        *_, source = sources(self.editor, node.inputs[0])
        maker = self.editor.producer(source)
        integers = _kind(node) == "i"
        truth = maker is not None and maker.op_type in TRUTHS
        if node.inputs[0] in self.whole | self.real and _kind(node) != "b":
            (self.whole if integers else self.real).update(node.outputs)
        elif truth and integers:
            self.whole.update(node.outputs)

    def _integers(self, name: str) -> bool:
        array = self.editor.constant(name)
        return array is not None and array.dtype.kind in "iu"

    def rewrite(self) -> None:
        """Compute with real numbers; what decides reads rounded ones."""
        for name, output in self.pairs.items():
            self._endless(name, output)
        for node in self.editor.nodes:
            if node in self.editor:
                self._rewrite(node)

    def _rewrite(self, node: Node) -> None:
        handlers = {"Cast": self._same, "Mod": self._remainder, "Div": self._quotient, "OneHot": self._one_hot}
        handlers |= dict.fromkeys(COMPARISONS, self._compared)
        if node.op_type in handlers:
            handlers[node.op_type](node)
        elif node.op_type == "Where":
            set_by_choice(self.editor, node, self.whole | self.real, self._below)
        else:
            place_at(self.editor, node, self.whole, self._place)

    def _same(self, node: Node) -> None:
        if node.inputs[0] in self.whole | self.real and _kind(node) != "b":
            put(self.editor, node, op("Identity", tensor(node.inputs[0])))

    def _remainder(self, node: Node) -> None:
        """x mod c, with the sign of c, or of x (fmod=1)."""
        x, divisor = node.inputs[0], scalar_of(self.editor.constant(node.inputs[1]))
        if node.outputs[0] not in self.whole or divisor is None or divisor <= 0:
            return
        times = _truncated(x, divisor) if node.attributes.get("fmod", 0) else _floored(tensor(x), divisor)
        put(self.editor, node, tensor(x) - times * divisor)

    def _quotient(self, node: Node) -> None:
        """x / c towards zero, as integers divide."""
        if node.outputs[0] not in self.whole:
            return
        divisor = scalar_of(self.editor.constant(node.inputs[1]))
        if divisor is None or divisor <= 0:
            where = f"{self.editor.graph.file}: {node.label}"
            hint = "Divide by a positive constant, or cast to real numbers first."
            raise Refused("divides whole numbers by what is no positive constant", where=where, hint=hint)
        put(self.editor, node, _truncated(node.inputs[0], divisor))

    def _compared(self, node: Node) -> None:
        numbers = self.whole | self.real
        if not numbers.intersection(node.inputs):
            return
        parts: list[Term] = []
        for name in node.inputs:
            array = self.editor.constant(name)
            if array is not None and np.any(array != np.round(array)):
                return
            if array is None and name not in numbers:
                return
            real = None if array is None else tensor(self.editor.add_constant(array.astype(np.float32)))
            parts.append(op("Round", tensor(name)) if real is None else real)
        put(self.editor, node, op(node.op_type, *parts))

    def _one_hot(self, node: Node) -> None:
        depth, values = (self.editor.constant(name) for name in node.inputs[1:])
        rank = len(self.editor.shape(node.inputs[0]) or ())
        last = int(node.attributes.get("axis", -1)) in (-1, rank)
        if node.inputs[0] not in self.whole or depth is None or values is None or not last:
            return
        off, on = (float(v) for v in values.ravel())
        places = self.editor.add_constant(np.arange(int(depth.ravel()[0]), dtype=np.float32))
        equal = op("Equal", op("Unsqueeze", op("Round", tensor(node.inputs[0])), [rank]), tensor(places))
        truth = op("Cast", equal, to=1)
        put(self.editor, node, truth if (off, on) == (0.0, 1.0) else truth * (on - off) + off)

    # ----------------------------------------------------------------- places

    def _place(self, name: str, count: int) -> Term:
        """Whole numbers as places among so many; what is below 0 counts from the end."""
        x = tensor(name)
        if self._least(name, frozenset()) < 0:
            x = x + op("Cast", op("Less", op("Round", x), 0.0), to=1) * float(count)
        return op("Place", x, rows=count)

    def _below(self, name: str, count: int) -> Term | None:
        """A whole number as a place among so many, None where it may be another."""
        *_, source = sources(self.editor, name)
        inside = self._least(name, frozenset()) >= 0 and self._most(source) < count
        return self._place(name, count) if inside else None

    def _least(self, name: str, seen: frozenset[str]) -> float:
        """0 where a tensor cannot be negative, given that states start at 0; else minus infinity."""
        array, node = self.editor.constant(name), self.editor.producer(name)
        if array is not None:
            return 0.0 if np.all(array >= 0) else -np.inf
        if name in self.pairs:
            return 0.0 if name in seen else self._least(self.pairs[name], seen | {name})
        if node is None:
            return -np.inf
        if (node.op_type == "Mod" and not node.attributes.get("fmod", 0)) or node.op_type in ("Abs", "Round"):
            return 0.0 if node.op_type != "Round" else self._least(node.inputs[0], seen)
        if node.op_type in ("Add", "Mul", "Min", "Max", "Where", "Identity", "Cast", *VIEWS):
            read = node.inputs[node.op_type == "Where" :]
            read = read if node.op_type not in VIEWS or node.op_type == "Concat" else read[:1]
            return min((self._least(n, seen) for n in read if n), default=-np.inf)
        remainder = _divisor(self.editor, name)
        return 0.0 if remainder else -np.inf

    def _most(self, name: str) -> float:
        """The largest number that a remainder, or a state that is one after each step, can be."""
        *_, source = sources(self.editor, self.pairs.get(name, name))
        node = self.editor.producer(source)
        if node is not None and node.op_type == "Identity":
            return self._most(node.inputs[0])
        divisor = _divisor(self.editor, source)
        return divisor - 1 if divisor else np.inf

    # ----------------------------------------------------------------- counters without end

    def _endless(self, name: str, output: str) -> None:
        """Let a counter that would count for ever go back where nothing that is read of it tells the difference."""
        node = self.editor.producer(output)
        if node is None or node.op_type != "Add" or name not in node.inputs:
            return
        step = scalar_of(self.editor.constant(node.inputs[1 - node.inputs.index(name)]))
        used = self._used(name, 0.0)
        if step is None or step <= 0 or used is None:
            return
        period, limit = used
        period *= math.ceil(step / period)
        largest = limit + period
        if largest + step > MOST:
            return
        fresh = self.editor.fresh("count")
        self.whole.add(fresh)
        self.editor.shapes[fresh] = self.editor.shape(output) or ()
        moved = [n for n in self.editor.uses(output) if n is not node]
        self.editor.replace([node], [replace(node, outputs=(fresh,)), Node("", "Identity", "", (fresh,), (output,))])
        for reader in moved:
            inputs = tuple(fresh if n == output else n for n in reader.inputs)
            self.editor.replace([reader], [replace(reader, inputs=inputs)])
        again = op("Cast", op("Greater", op("Round", tensor(fresh)), float(largest - 1)), to=1)
        back = self.editor.producer(output)
        assert back is not None
        put(self.editor, back, tensor(fresh) - again * float(period))

    def _used(self, name: str, more: float) -> tuple[int, int] | None:
        """After how many the remainders of a number and ``more`` all come again, and from where on limits do not matter.

        None where anything else is read of it.
        """
        period, limit = 1, 1
        for node in self.editor.uses(name):
            other = [n for n in node.inputs if n != name]
            constant = self.editor.constant(other[0]) if other else None
            number = scalar_of(constant)
            if node.op_type == "Mod" and node.inputs[0] == name and number is not None and number > 0:
                period = math.lcm(period, int(number))
                continue
            if node.op_type in COMPARISONS and constant is not None and constant.size:
                limit = max(limit, int(np.ceil(constant.max() - more)) + 2)
                continue
            if node.op_type == "Add" and number is not None:
                found = self._used(node.outputs[0], more + number)
            elif node.op_type in ("Identity", "Cast", *VIEWS) and node.op_type != "Concat" and node.inputs[0] == name:
                found = self._used(node.outputs[0], more) if node.op_type != "Cast" or _kind(node) != "b" else None
            else:
                found = None
            if found is None:
                return None
            period, limit = math.lcm(period, found[0]), max(limit, found[1])
        return period, limit


def _kind(cast: Node) -> str:
    """What a Cast gives: "b" truth values, "i" integers, "f" real numbers."""
    to = int(cast.attributes["to"])
    return "b" if to == BOOL else "i" if to in INTEGERS else "f"


def _floored(x: Term, divisor: float) -> Term:
    """A whole number over another, rounded down: it is half a unit above what it would be rounded at."""
    return op("Floor", (x + 0.5) * (1 / divisor))


def _truncated(name: str, divisor: float) -> Term:
    """A whole number over another, rounded towards 0."""
    x = tensor(name)
    down, up = (op("Floor", op("Relu", t) * (1 / divisor)) for t in (x + 0.5, 0.5 - x))
    return down - up


def _divisor(editor: Editor, name: str) -> float:
    """c where a tensor is x mod c, or what is computed in its place; 0 of others."""
    node = editor.producer(name)
    if node is not None and node.op_type == "Mod" and not node.attributes.get("fmod", 0):
        return scalar_of(editor.constant(node.inputs[1])) or 0.0
    if node is None or node.op_type != "Sub" or (times := editor.producer(node.inputs[1])) is None:
        return 0.0
    down = editor.producer(times.inputs[0])
    floored = times.op_type == "Mul" and down is not None and down.op_type == "Floor"
    return scalar_of(editor.constant(times.inputs[1])) or 0.0 if floored else 0.0
