"""Whether an expression is what an LSTM, GRU or RNN cell computes, and with which weights."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import permutations
from typing import Any

import numpy as np

from rnnc.frontend.recurrence.vectors import Vectors
from rnnc.frontend.rewrite.expressions import Act, Atom, Expression, Key, Leaf, Product, Rows, Vector, mirrored

GATES = ("Sigmoid", "HardSigmoid", "Clip")
"""What a gate is more likely than a candidate."""


@dataclass(frozen=True, eq=False)
class Cell:
    """A recognised cell, as the ONNX operator ``op_type`` has it.

    Args:
        h, c: tensors of the new states; c "" where there is none.
        old_h, old_c: the states that it reads.
        operands: what W multiplies, one after the other.
        weights, recurrence, bias: W ``[gates * hidden, columns]``, R ``[gates * hidden, width]``, B.
        peepholes: P ``[3 * hidden]``.
    """

    op_type: str
    h: str
    old_h: Leaf
    operands: tuple[Product, ...]
    weights: Vector
    recurrence: Vector
    bias: Vector
    attributes: dict[str, Any]
    c: str = ""
    old_c: Leaf | None = None
    peepholes: Vector | None = None


class NoMatch(Exception):
    """The expression is none of this cell."""


def match(vectors: Vectors, name: str) -> Iterator[Cell]:
    """The cells whose new hidden state the tensor ``name`` may be: which operand is the old state is open."""
    h = vectors.whole(name)
    if h is not None and h.size:
        for attempt in (_lstm, _gru, _rnn):
            yield from attempt(vectors, name, h)


# --------------------------------------------------------------------------- rows of gates


@dataclass
class _Gate:
    """A gate's preactivation: rows over x, rows over h, bias, a coefficient for each other product allowed in it."""

    columns: dict[Key, tuple[Product, Vector]]
    recurrence: Vector
    bias: Vector
    others: dict[Key, Vector] = field(default_factory=dict)


def _gate(argument: Expression, h: Leaf, states: tuple[Leaf, ...], others: tuple[Product, ...] = ()) -> _Gate:
    """Sort the terms of a preactivation; NoMatch where it depends on the states in another way."""
    hidden = Product((h,))
    allowed = {p.key: p for p in others}
    gate = _Gate({}, np.zeros((argument.size, h.size)), argument.constant)
    for key, (product, weights) in argument.matrices.items():
        if key == hidden.key:
            gate.recurrence = weights
        elif key in allowed:
            gate.others[key] = weights
        else:
            gate.columns[key] = (product, _independent(product, weights, states))
    for key, (product, coefficient) in argument.diagonal.items():
        if key in allowed:
            gate.others[key] = coefficient
        elif key == hidden.key:
            gate.recurrence = gate.recurrence + np.diag(coefficient)
        else:
            before = gate.columns.get(key)
            matrix = _independent(product, np.diag(coefficient), states)
            gate.columns[key] = (product, matrix if before is None else before[1] + matrix)
    return gate


def _independent(product: Product, weights: Vector, states: tuple[Leaf, ...]) -> Vector:
    """The weights; NoMatch where the product depends on one of the states."""
    for leaf in _leaves(product):
        if any(leaf.tensor == s.tensor and np.isin(leaf.indices, s.indices).any() for s in states):
            raise NoMatch
    return weights


def _leaves(product: Product) -> Iterator[Leaf]:
    """What a product depends on, as far as expressions go."""
    queue: list[Atom] = list(product.atoms)
    while queue:
        atom = queue.pop()
        if isinstance(atom, Leaf):
            yield atom
        elif isinstance(atom, Rows):
            queue += atom.operand.atoms
        else:
            terms = [*atom.argument.diagonal.values(), *atom.argument.matrices.values()]
            queue += [a for p, _ in terms for a in p.atoms]


def _stack(gates: list[_Gate]) -> tuple[tuple[Product, ...], Vector, Vector]:
    """Operands, W and R of all gates one below the other."""
    operands = {key: product for gate in gates for key, (product, _) in gate.columns.items()}
    rows = []
    for gate in gates:
        size = len(gate.bias)
        rows.append(
            [gate.columns[k][1] if k in gate.columns else np.zeros((size, p.size)) for k, p in operands.items()]
        )
    weights = np.concatenate([np.concatenate(row, 1) for row in rows]) if operands else np.zeros((0, 0))
    return tuple(operands.values()), weights, np.concatenate([g.recurrence for g in gates])


def _activations(*acts: Act) -> dict[str, Any]:
    """The attributes activations, activation_alpha, activation_beta."""
    names, alphas, betas = [], list[float](), list[float]()
    for act in acts:
        name, parameters = act.name, act.parameters
        if name == "Clip":
            if parameters != (0.0, np.inf):
                raise NoMatch
            name, parameters = "Relu", ()
        names.append(name)
        alphas += parameters[:1]
        betas += parameters[1:2]
    return {"activations": names, "activation_alpha": alphas, "activation_beta": betas}


def _states_in(expression: Expression, size: int | None = None) -> Iterator[Leaf]:
    """Leaves that matrices multiply: hidden states, or inputs of that size."""
    for product, _ in expression.matrices.values():
        leaf = product.single
        if isinstance(leaf, Leaf) and size in (None, leaf.size):
            yield leaf


# --------------------------------------------------------------------------- RNN


def _rnn(vectors: Vectors, name: str, h: Expression) -> Iterator[Cell]:
    act = h.product.single if h.product is not None else None
    if not isinstance(act, Act):
        return
    for old in _states_in(act.argument, h.size):
        try:
            gate = _gate(act.argument, old, (old,))
            operands, weights, recurrence = _stack([gate])
            bias = np.concatenate([gate.bias, np.zeros(h.size)])
            attributes = {"hidden_size": h.size, **_activations(act)}
        except NoMatch:
            continue
        if operands:
            yield Cell("RNN", name, old, operands, weights, recurrence, bias, attributes)


# --------------------------------------------------------------------------- GRU


def _gru(vectors: Vectors, name: str, h: Expression) -> Iterator[Cell]:
    if h.matrices or np.any(h.constant) or len(h.diagonal) not in (2, 3):
        return
    for old, update, candidate in _updates(h):
        yield from _gru_of(name, old, update, candidate)


def _updates(h: Expression) -> Iterator[tuple[Leaf, Act, Act]]:
    """(h, z, n) of h' = (1 - z) n + z h, in two terms or multiplied out."""
    terms = [(p, float(c[0])) for p, c in h.diagonal.values() if np.all(c == c[0])]
    if len(terms) != len(h.diagonal):
        return
    for kept, gate, new in _mixtures(terms):
        turned = mirrored(gate)
        if isinstance(kept, Leaf) and isinstance(new, Act):
            yield kept, gate, new
        elif isinstance(kept, Act) and isinstance(new, Leaf) and turned is not None:
            yield new, turned, kept


def _mixtures(terms: list[tuple[Product, float]]) -> Iterator[tuple[Atom, Act, Atom]]:
    """(a, s, b) of s a + (1 - s) b, written with two gates that are each other's mirror, or as b + s a - s b."""
    pairs = [(p, c) for p, c in terms if len(p.atoms) == 2]
    if len(terms) == len(pairs) == 2 and all(c == 1 for _, c in pairs):
        for (gate, a), (other, b) in itertools.product(*(permutations(p.atoms) for p, _ in pairs)):
            turned = mirrored(gate) if isinstance(gate, Act) else None
            if turned is not None and turned.key == other.key:
                yield a, gate, b  # type: ignore[misc]
    alone = [p.single for p, c in terms if p.single is not None and c == 1]
    if len(terms) == 3 and len(alone) == 1 and sorted(c for _, c in pairs) == [-1.0, 1.0]:
        plus, minus = (next(p for p, c in pairs if c == sign) for sign in (1, -1))
        for gate, b in permutations(minus.atoms):
            others = [atom for atom in plus.atoms if atom.key != gate.key]
            if alone[0] is not None and b.key == alone[0].key and len(others) == 1 and isinstance(gate, Act):
                yield others[0], gate, b


def _gru_of(name: str, old: Leaf, update: Act, candidate: Act) -> Iterator[Cell]:
    for reset, before in [*_resets(candidate.argument, old), (None, False)]:
        try:
            yield _gru_cell(name, old, update, reset, candidate, before)
        except NoMatch:
            continue


def _resets(argument: Expression, old: Leaf) -> Iterator[tuple[Act, bool]]:
    """(r, linear_before_reset) that a candidate's preactivation may have."""
    for product, _ in argument.matrices.values():
        others = [a for a in product.atoms if a.key != old.key]
        if len(product.atoms) == 2 and len(others) == 1 and isinstance(others[0], Act):
            yield others[0], False
    for product, _ in argument.diagonal.values():
        rows = [a for a in product.atoms if isinstance(a, Rows)]
        others = [a for a in product.atoms if not isinstance(a, Rows)]
        if len(rows) == 1 and len(others) == 1 and isinstance(others[0], Act):
            yield others[0], True


def _gru_cell(name: str, old: Leaf, update: Act, reset: Act | None, candidate: Act, before: bool) -> Cell:
    z = _gate(update.argument, old, (old,))
    n, hidden_bias = _candidate(candidate.argument, reset, old, before)
    gates, turned = [z, n], mirrored(update)
    shared = {update.key: "z"} | ({} if turned is None else {turned.key: "1 - z"})
    kind = "none" if reset is None else shared.get(reset.key, "own")
    if reset is not None and kind == "own":
        if (update.name, update.parameters) != (reset.name, reset.parameters):
            raise NoMatch
        gates.insert(1, _gate(reset.argument, old, (old,)))
    operands, weights, recurrence = _stack(gates)
    if not operands:
        raise NoMatch
    bias = np.concatenate([g.bias for g in gates] + [np.zeros((len(gates) - 1) * old.size), hidden_bias])
    attributes = {"hidden_size": old.size, "linear_before_reset": int(before), **_activations(update, candidate)}
    if kind != "own":
        attributes["reset"] = kind
    return Cell("GRU", name, old, operands, weights, recurrence, bias, attributes)


def _candidate(argument: Expression, reset: Act | None, old: Leaf, before: bool) -> tuple[_Gate, Vector]:
    """The candidate's rows, and the bias of their recurrent part where ``before``: the rows come before the reset."""
    if reset is None:
        n = _gate(argument, old, (old,))
        if not np.any(n.recurrence):  # an LSTM's cell, whose candidate sees h alone
            raise NoMatch
        return n, np.zeros(old.size)
    if before:
        terms = {k: t for k, t in argument.diagonal.items() if reset.key in {a.key for a in t[0].atoms}}
        rest = {k: t for k, t in argument.diagonal.items() if k not in terms}
        n = _gate(Expression(argument.constant, rest, argument.matrices), old, (old,))
        if np.any(n.recurrence):
            raise NoMatch
        n.recurrence, hidden_bias = _reset_part(list(terms.values()), reset, old)
        return n, hidden_bias
    gated = Product.of([reset, old])
    n = _gate(argument, old, (old,), (gated,))
    if np.any(n.recurrence) or gated.key not in n.others or n.others[gated.key].ndim != 2:
        raise NoMatch
    n.recurrence = n.others[gated.key]
    return n, np.zeros(old.size)


def _reset_part(terms: list[tuple[Product, Vector]], reset: Act, old: Leaf) -> tuple[Vector, Vector]:
    """R and bias in r * (R h + bias)."""
    recurrence, bias = np.zeros((old.size, old.size)), np.zeros(old.size)
    for product, coefficient in terms:
        others = [a for a in product.atoms if a.key != reset.key]
        if not others:
            bias = bias + coefficient
        elif len(others) == 1 and isinstance(others[0], Rows) and others[0].operand.key == Product((old,)).key:
            recurrence = recurrence + coefficient[:, None] * others[0].weights
        else:
            raise NoMatch
    return recurrence, bias


# --------------------------------------------------------------------------- LSTM


def _lstm(vectors: Vectors, name: str, h: Expression) -> Iterator[Cell]:
    found = _exposed(h)
    if found is None:
        return
    product, projection, projection_bias = found
    for output, squash in permutations(product.atoms):
        if not isinstance(output, Act) or not isinstance(squash, Act):
            continue
        c = vectors.tensors.get(squash.argument.key)
        for old_c, forget, update, candidate in _sums(squash.argument) if c else ():
            acts = (output, squash, forget, update, candidate)
            yield from _lstm_of(name, str(c), h.size, old_c, acts, projection, projection_bias)


def _exposed(h: Expression) -> tuple[Product, Vector | None, Vector | None] | None:
    """o * tanh(c), and the projection before it."""
    product, projection, bias = h.product, None, None
    if product is None and len(h.matrices) == 1 and not h.diagonal:
        product, projection = next(iter(h.matrices.values()))
        bias = h.constant if np.any(h.constant) else None
    if product is None or len(product.atoms) != 2:
        return None
    return product, projection, bias


Coupled = Act | None


def _sums(c: Expression) -> Iterator[tuple[Leaf, Coupled, Act, Act]]:
    """(c, f, i, g) of c' = f c + i g; f None where it is 1 - i."""
    if c.matrices or np.any(c.constant) or any(np.any(k != k[0]) for _, k in c.diagonal.values()):
        return
    terms = [(p, float(k[0])) for p, k in c.diagonal.values()]
    for a, gate, b in _mixtures(terms):
        turned = mirrored(gate)
        if isinstance(a, Act) and isinstance(b, Leaf):
            yield b, None, gate, a
        elif isinstance(a, Leaf) and isinstance(b, Act) and turned is not None:
            yield a, None, turned, b
    if len(terms) == 2 and all(len(p.atoms) == 2 and k == 1 for p, k in terms):
        for (kept, _), (added, _) in permutations(terms):
            for forget, old in permutations(kept.atoms):
                for update, candidate in permutations(added.atoms):
                    if isinstance(old, Leaf) and _likely(forget, update, candidate):
                        yield old, forget, update, candidate  # type: ignore[misc]


def _likely(forget: Atom, update: Atom, candidate: Atom) -> bool:
    acts = all(isinstance(a, Act) for a in (forget, update, candidate))
    return acts and (update.name in GATES or candidate.name not in GATES)  # type: ignore[union-attr]


def _lstm_of(
    name: str,
    c: str,
    width: int,
    old_c: Leaf,
    acts: tuple[Act, Act, Coupled, Act, Act],
    projection: Vector | None,
    projection_bias: Vector | None,
) -> Iterator[Cell]:
    output, squash, forget, update, candidate = acts
    for old_h in _states_in(output.argument, width):
        try:
            states = (old_h, old_c)
            peep = (Product((old_c,)),)
            new = tuple(p for p, _ in squash.argument.diagonal.values())
            o = _gate(output.argument, old_h, states, new)
            i, g = _gate(update.argument, old_h, states, peep), _gate(candidate.argument, old_h, states)
            f = _gate(forget.argument, old_h, states, peep) if forget is not None else _nothing(i)
            peepholes = _peepholes(i, o, f, peep[0], squash.argument)
            operands, weights, recurrence = _stack([i, o, f, g])
            gates = [a for a in (update, output, forget) if a is not None]
            if not operands or len({(a.name, a.parameters) for a in gates}) > 1:
                raise NoMatch
            attributes = {"hidden_size": old_c.size, **_activations(update, candidate, squash)}
        except NoMatch:
            continue
        if forget is None:
            attributes["input_forget"] = 1
        if projection is not None:
            attributes |= {"projection": projection, "projection_bias": projection_bias}
        bias = np.concatenate([i.bias, o.bias, f.bias, g.bias, np.zeros(4 * old_c.size)])
        yield Cell("LSTM", name, old_h, operands, weights, recurrence, bias, attributes, c, old_c, peepholes)


def _nothing(like: _Gate) -> _Gate:
    return _Gate({}, np.zeros_like(like.recurrence), np.zeros_like(like.bias))


def _peepholes(i: _Gate, o: _Gate, f: _Gate, old: Product, new: Expression) -> Vector | None:
    """P in ONNX's order i o f, from the old state in i and f and the new one in o; None where there are none."""
    vectors = [gate.others.get(old.key, np.zeros(len(gate.bias))) for gate in (i, f)]
    exposed = np.zeros(len(o.bias))
    if o.others:
        key, (_, factor) = next(iter(new.diagonal.items()))
        exposed = o.others.get(key, exposed) / factor
        expected = {k: exposed * c for k, (_, c) in new.diagonal.items()}
        if o.others.keys() != expected.keys() or any(not np.allclose(o.others[k], e) for k, e in expected.items()):
            raise NoMatch
    if any(v.ndim != 1 for v in (*vectors, exposed)):
        raise NoMatch
    peepholes = np.concatenate([vectors[0], exposed, vectors[1]])
    return peepholes if np.any(peepholes) else None
