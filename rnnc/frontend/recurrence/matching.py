"""Whether an expression is what an LSTM, GRU or RNN cell computes, and with which weights."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from itertools import permutations, product
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


Attempts = Iterator[Callable[[], Cell]]
"""Ways to read an expression as a cell; each raises NoMatch where it is none."""


def match(vectors: Vectors, name: str) -> Iterator[Cell]:
    """The cells whose new hidden state the tensor ``name`` may be: which operand is the old state is open."""
    h = vectors.whole(name)
    if h is None or not h.size:
        return
    for attempts in (_lstms, _grus, _rnns):
        for attempt in attempts(vectors, name, h):
            try:
                yield attempt()
            except NoMatch:
                continue


# --------------------------------------------------------------------------- rows of gates


@dataclass
class _Gate:
    """A gate's preactivation: rows over x, rows over h, bias, a coefficient for each other product allowed in it."""

    columns: dict[Key, tuple[Product, Vector]]
    recurrence: Vector
    bias: Vector
    others: dict[Key, Vector] = field(default_factory=dict)


def _gate(argument: Expression, h: Leaf, *others: Product, c: Leaf | None = None) -> _Gate:
    """Sort the terms of a preactivation; NoMatch where it depends on the states h and c in another way."""
    hidden, allowed = Product((h,)).key, {p.key for p in others}
    gate = _Gate({}, np.zeros((argument.size, h.size)), argument.constant)
    rows = [(key, p, w, w) for key, (p, w) in argument.matrices.items()]
    rows += [(key, p, k, np.diag(k)) for key, (p, k) in argument.diagonal.items()]
    for key, term, coefficient, matrix in rows:
        if key in allowed:
            gate.others[key] = coefficient
        elif key == hidden:
            gate.recurrence = gate.recurrence + matrix
        elif any(leaf.shares(state) for leaf in _leaves(term) for state in (h, c) if state is not None):
            raise NoMatch
        else:
            gate.columns[key] = (term, gate.columns[key][1] + matrix if key in gate.columns else matrix)
    return gate


def _leaves(term: Product) -> Iterator[Leaf]:
    """What a product depends on, as far as expressions go."""
    for atom in term.atoms:
        if isinstance(atom, Leaf):
            yield atom
        else:
            inner = [atom.operand] if isinstance(atom, Rows) else atom.argument.products
            for part in inner:
                yield from _leaves(part)


def _cell(
    op_type: str,
    name: str,
    old: Leaf,
    gates: list[_Gate],
    acts: tuple[Act, ...],
    hidden_bias: Vector | None = None,
    states: tuple[Any, ...] = (),
    **more: Any,
) -> Cell:
    """The cell of some gates, one below the other; ``more`` are attributes, ``states`` c, the old c and peepholes."""
    operands = {key: operand for gate in gates for key, (operand, _) in gate.columns.items()}
    if not operands:
        raise NoMatch
    size = len(gates[0].bias)
    nothing = {key: (operand, np.zeros((size, operand.size))) for key, operand in operands.items()}
    weights = np.block([[(nothing | gate.columns)[key][1] for key in operands] for gate in gates])
    recurrence = np.concatenate([g.recurrence for g in gates])
    bias = np.concatenate([*(g.bias for g in gates), np.zeros(len(recurrence)) if hidden_bias is None else hidden_bias])
    attributes = {"hidden_size": size, **_activations(*acts), **more}
    return Cell(op_type, name, old, tuple(operands.values()), weights, recurrence, bias, attributes, *states)


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


def _states_in(expression: Expression, size: int) -> Iterator[Leaf]:
    """Leaves of a size that matrices multiply: hidden states, or inputs of that size."""
    leaves = (p.single for p, _ in expression.matrices.values())
    yield from (leaf for leaf in leaves if isinstance(leaf, Leaf) and leaf.size == size)


def _terms(total: Expression) -> list[tuple[Product, float]]:
    """A sum of products with numbers as factors; empty where it has other terms."""
    if total.matrices or np.any(total.constant) or any(np.any(k != k[0]) for _, k in total.diagonal.values()):
        return []
    return [(p, float(k[0])) for p, k in total.diagonal.values()]


def _blends(total: Expression) -> Iterator[tuple[Leaf, Act | None, Act | None, Act]]:
    """(h, z, 1 - z, n) of z h + (1 - z) n; z or 1 - z None where it is no activation."""
    for a, gate, b in _mixtures(_terms(total)):
        if isinstance(a, Leaf) and isinstance(b, Act):
            yield a, gate, mirrored(gate), b
        elif isinstance(a, Act) and isinstance(b, Leaf):
            yield b, mirrored(gate), gate, a


def _mixtures(terms: list[tuple[Product, float]]) -> Iterator[tuple[Atom, Act, Atom]]:
    """(a, s, b) of s a + (1 - s) b, written with two gates that are each other's mirror, or as b + s a - s b."""
    pairs = [(p, c) for p, c in terms if len(p.atoms) == 2]
    if len(terms) == len(pairs) == 2 and all(c == 1 for _, c in pairs):
        for (gate, a), (other, b) in product(*(permutations(p.atoms) for p, _ in pairs)):
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


# --------------------------------------------------------------------------- RNN


def _rnns(_vectors: Vectors, name: str, h: Expression) -> Attempts:
    act = h.product.single if h.product is not None else None
    if isinstance(act, Act):
        for old in _states_in(act.argument, h.size):
            yield partial(_rnn, name, old, act)


def _rnn(name: str, old: Leaf, act: Act) -> Cell:
    return _cell("RNN", name, old, [_gate(act.argument, old)], (act,))


# --------------------------------------------------------------------------- GRU


def _grus(_vectors: Vectors, name: str, h: Expression) -> Attempts:
    for old, update, _, candidate in _blends(h):
        for reset, before in [*_resets(candidate.argument, old), (None, False)]:
            if update is not None:
                yield partial(_gru, name, old, update, reset, candidate, before)


def _resets(argument: Expression, old: Leaf) -> Iterator[tuple[Act, bool]]:
    """(r, linear_before_reset) that a candidate's preactivation may have."""
    for term in argument.products:
        for reset, state in permutations(term.atoms) if len(term.atoms) == 2 else ():
            before = term.key in argument.diagonal
            if isinstance(reset, Act) and (isinstance(state, Rows) if before else state.key == old.key):
                yield reset, before


def _gru(name: str, old: Leaf, update: Act, reset: Act | None, candidate: Act, before: bool) -> Cell:
    z = _gate(update.argument, old)
    n, bias = _candidate(candidate.argument, reset, old, before)
    gates, turned, shared = [z, n], mirrored(update), dict[str, Any]()
    if reset is None:
        shared = {"reset": "none"}
    elif reset.key == update.key:
        shared = {"reset": "z"}
    elif turned is not None and reset.key == turned.key:
        shared = {"reset": "1 - z"}
    elif (update.name, update.parameters) == (reset.name, reset.parameters):
        gates.insert(1, _gate(reset.argument, old))
    else:
        raise NoMatch
    bias = np.concatenate([np.zeros((len(gates) - 1) * old.size), bias])
    return _cell("GRU", name, old, gates, (update, candidate), bias, linear_before_reset=int(before), **shared)


def _candidate(argument: Expression, reset: Act | None, old: Leaf, before: bool) -> tuple[_Gate, Vector]:
    """The candidate's rows, and the bias of their recurrent part where ``before``: the rows come before the reset."""
    bias = np.zeros(old.size)
    if reset is None:
        n = _gate(argument, old)
        if not np.any(n.recurrence):  # an LSTM's cell, whose candidate sees h alone
            raise NoMatch
        return n, bias
    inside = {k: t for k, t in argument.diagonal.items() if before and reset.key in {a.key for a in t[0].atoms}}
    rest = {k: t for k, t in argument.diagonal.items() if k not in inside}
    gated = Product.of([reset, old])
    n = _gate(Expression(argument.constant, rest, argument.matrices), old, *([] if before else [gated]))
    recurrence = n.others.get(gated.key, np.zeros((old.size, old.size) if before else 0))
    if np.any(n.recurrence) or recurrence.ndim != 2:
        raise NoMatch
    n.recurrence = recurrence
    for term, coefficient in inside.values():  # r * (R h + bias)
        others = [a for a in term.atoms if a.key != reset.key]
        if not others:
            bias = bias + coefficient
        elif len(others) == 1 and isinstance(others[0], Rows) and others[0].operand.key == Product((old,)).key:
            n.recurrence = n.recurrence + coefficient[:, None] * others[0].weights
        else:
            raise NoMatch
    return n, bias


# --------------------------------------------------------------------------- LSTM


def _lstms(vectors: Vectors, name: str, h: Expression) -> Attempts:
    exposed, more = h.product, dict[str, Any]()
    if exposed is None and len(h.matrices) == 1 and not h.diagonal:
        exposed, projection = next(iter(h.matrices.values()))
        more = {"projection": projection, "projection_bias": h.constant if np.any(h.constant) else None}
    for output, squash in permutations(exposed.atoms) if exposed is not None and len(exposed.atoms) == 2 else ():
        if not isinstance(output, Act) or not isinstance(squash, Act):
            continue
        c = vectors.tensors.get(squash.argument.key)
        for old_c, forget, update, candidate in _sums(squash.argument) if c else ():
            for old_h in _states_in(output.argument, h.size):
                acts = (output, squash, forget, update, candidate)
                yield partial(_lstm, name, str(c), old_h, old_c, acts, more)


def _sums(c: Expression) -> Iterator[tuple[Leaf, Act | None, Act, Act]]:
    """(c, f, i, g) of c' = f c + i g; f None where it is 1 - i."""
    for leaf, _, gate, new in _blends(c):
        if gate is not None:
            yield leaf, None, gate, new
    terms = _terms(c)
    if len(terms) == 2 and all(len(p.atoms) == 2 and k == 1 for p, k in terms):
        for (kept, _), (added, _) in permutations(terms):
            for (forget, old), (update, candidate) in product(permutations(kept.atoms), permutations(added.atoms)):
                if isinstance(old, Leaf) and _likely(forget, update, candidate):
                    yield old, forget, update, candidate  # type: ignore[misc]


def _likely(forget: Atom, update: Atom, candidate: Atom) -> bool:
    acts = all(isinstance(a, Act) for a in (forget, update, candidate))
    return acts and (update.name in GATES or candidate.name not in GATES)  # type: ignore[union-attr]


def _lstm(
    name: str,
    c: str,
    old_h: Leaf,
    old_c: Leaf,
    acts: tuple[Act, Act, Act | None, Act, Act],
    more: dict[str, Any],
) -> Cell:
    output, squash, forget, update, candidate = acts
    new, old = squash.argument, Product((old_c,))
    o = _gate(output.argument, old_h, *(p for p, _ in new.diagonal.values()), c=old_c)
    i, g = _gate(update.argument, old_h, old, c=old_c), _gate(candidate.argument, old_h, c=old_c)
    f = _Gate({}, np.zeros_like(i.recurrence), np.zeros_like(i.bias))
    if forget is None:
        more = {**more, "input_forget": 1}
    else:
        f = _gate(forget.argument, old_h, old, c=old_c)
    if len({(a.name, a.parameters) for a in (update, output, forget or output)}) > 1:
        raise NoMatch
    states = (c, old_c, _peepholes(i, o, f, old, new))
    return _cell("LSTM", name, old_h, [i, o, f, g], (update, candidate, squash), states=states, **more)


def _peepholes(i: _Gate, o: _Gate, f: _Gate, old: Product, new: Expression) -> Vector | None:
    """P in ONNX's order i o f, from the old state in i and f and the new one in o; None where there are none."""
    nothing = np.zeros(len(o.bias))
    exposed = nothing
    if o.others:
        key, (_, factor) = next(iter(new.diagonal.items()))
        exposed = o.others.get(key, exposed) / factor
        expected = {k: exposed * c for k, (_, c) in new.diagonal.items()}
        if o.others.keys() != expected.keys() or any(not np.allclose(o.others[k], e) for k, e in expected.items()):
            raise NoMatch
    vectors = (i.others.get(old.key, nothing), exposed, f.others.get(old.key, nothing))
    if any(v.ndim != 1 for v in vectors):
        raise NoMatch
    return np.concatenate(vectors) if np.any(vectors) else None
