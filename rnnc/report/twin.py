"""The float twin: a net's step in real numbers as a list of scalar operations, which a page runs beside the C.

It is derived, not written: ``Op.step`` is run once on arrays of symbols, which record what it computes. What decides by the
values, or by how many steps came before, has no such list, and is refused with its reason.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

import numpy as np

from rnnc.clock import EVERY_STEP
from rnnc.fixed import Floats
from rnnc.net import Array, Net, Op, States
from rnnc.ops.embedding import Embedding

CONSTANT, LEAF, SUM, ROW = "constant", "leaf", "sum", "row"
SUMS = ("add", "dot")
"""What becomes part of one weighted sum."""
UNARY = ("negative", "absolute", "tanh", "exp", "log", "sqrt", "expm1", "log1p", "sin", "cos", "floor", "sign")
BINARY = ("multiply", "divide", "maximum", "minimum", "less", "less_equal", "power")
CODES = {name: code for code, name in enumerate((SUM, ROW, "where", *UNARY, *BINARY))}
"""The numbers of the operations in ``Twin.code``; the page's script is told their names in this order."""
TICKS = (0, 1, 5)
"""The step is recorded at these; it must be the same at all."""
MOST_WEIGHTS = 250_000
"""A larger network has no twin in its page: recording it would take seconds, and its weights would fill the page."""


class Untraceable(Exception):
    """A step has no list of operations; the text says why."""


class Scalar:
    """One real number that a step computes: an operation over others, a number that comes in, or a constant."""

    __slots__ = ("kind", "of", "value")

    def __init__(self, kind: str, of: tuple[Scalar, ...] = (), value: Any = None) -> None:
        self.kind, self.of, self.value = kind, of, value

    def __bool__(self) -> NoReturn:
        raise Untraceable("it decides by the values")

    __float__ = __int__ = __index__ = __bool__
    __hash__ = object.__hash__

    def __add__(self, other: Any) -> Scalar:
        return _add(self, _scalar(other))

    __radd__ = __add__

    def __sub__(self, other: Any) -> Scalar:
        return _add(self, -_scalar(other))

    def __rsub__(self, other: Any) -> Scalar:
        return _add(-self, _scalar(other))

    def __mul__(self, other: Any) -> Scalar:
        return _multiply(self, _scalar(other))

    __rmul__ = __mul__

    def __truediv__(self, other: Any) -> Scalar:
        return Scalar("divide", (self, _scalar(other)))

    def __rtruediv__(self, other: Any) -> Scalar:
        return Scalar("divide", (_scalar(other), self))

    def __pow__(self, other: Any) -> Scalar:
        return Scalar("power", (self, _scalar(other)))

    def __neg__(self) -> Scalar:
        return _constant(-self.value) if self.kind == CONSTANT else Scalar("negative", (self,))

    def __abs__(self) -> Scalar:
        return Scalar("absolute", (self,))

    def __getattr__(self, name: str) -> Callable[[], Scalar]:
        """Methods that NumPy calls for its functions of one number."""
        if name not in UNARY:
            raise AttributeError(name)
        return lambda: Scalar(name, (self,))


def _constant(value: float) -> Scalar:
    return Scalar(CONSTANT, value=float(value))


def _scalar(x: Any) -> Scalar:
    return x if isinstance(x, Scalar) else _constant(x)


def _is(x: Scalar, value: float) -> bool:
    return bool(x.kind == CONSTANT and x.value == value)


def _add(a: Scalar, b: Scalar) -> Scalar:
    if _is(a, 0):
        return b
    return a if _is(b, 0) else Scalar("add", (a, b))


def _multiply(a: Scalar, b: Scalar) -> Scalar:
    if _is(a, 1):
        return b
    if _is(b, 1):
        return a
    return _constant(0) if _is(a, 0) or _is(b, 0) else Scalar("multiply", (a, b))


def _binary(name: str) -> Callable[[Any, Any], Scalar]:
    return lambda a, b: Scalar(name, (_scalar(a), _scalar(b)))


def _clip(x: Any, lo: Any, hi: Any) -> Scalar:
    return Scalar("minimum", (Scalar("maximum", (_scalar(x), _scalar(lo))), _scalar(hi)))


def _where(condition: Any, a: Any, b: Any) -> Any:
    return Scalar("where", (condition, _scalar(a), _scalar(b))) if isinstance(condition, Scalar) else (b, a)[condition]


CALLS: dict[str, tuple[Callable[..., Any], int]] = {
    **{name: (_binary(name), 2) for name in ("maximum", "minimum", "less", "less_equal")},
    "greater": (lambda a, b: Scalar("less", (_scalar(b), _scalar(a))), 2),
    "greater_equal": (lambda a, b: Scalar("less_equal", (_scalar(b), _scalar(a))), 2),
    "clip": (_clip, 3),
    "sign": (lambda x: Scalar("sign", (_scalar(x),)), 1),
    "floor": (lambda x: Scalar("floor", (_scalar(x),)), 1),
    "square": (lambda x: _multiply(_scalar(x), _scalar(x)), 1),
    "reciprocal": (lambda x: Scalar("divide", (_constant(1), _scalar(x))), 1),
}
"""NumPy's functions that would ask objects for a truth value, or that know no objects, over scalars."""


class Symbols(np.ndarray[Any, Any]):
    """An array of scalars that answers what NumPy does not ask of objects."""

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **options: Any) -> Any:
        plain = [np.asarray(x) if isinstance(x, np.ndarray) else x for x in inputs]
        (out,) = options.pop("out", (None,))
        if (
            ufunc is np.matmul
            and out is None
            and isinstance(plain[1], np.ndarray)
            and plain[1].dtype != object
            and plain[1].ndim == 2
        ):
            return symbols(_dots(plain[0], plain[1]))
        call: Any = ufunc
        if ufunc.__name__ in CALLS:
            call = np.frompyfunc(*CALLS[ufunc.__name__], 1)
            options.pop("dtype", None)
        try:
            result = getattr(call, method)(*plain, **options)
        except (TypeError, ValueError):
            raise Untraceable(f"it uses {ufunc.__name__}, which is not recorded") from None
        if out is None:
            return symbols(result)
        out[...] = result
        return out

    def __array_function__(self, function: Any, types: Any, args: Any, options: Any) -> Any:
        if function is np.where and len(args) == 3:
            return symbols(np.frompyfunc(_where, 3, 1)(*map(np.asarray, args)))
        return super().__array_function__(function, types, args, options)


def _dots(x: Array, weights: Array) -> Array:
    """``x [..., n]`` times constants ``[n, rows]``: a sum of its own for each row, ``[..., rows]``."""
    columns = [column.tolist() for column in np.asarray(weights, np.float64).T]
    rows = [[Scalar("dot", tuple(map(_scalar, row)), c) for c in columns] for row in x.reshape(-1, x.shape[-1])]
    return _filled(rows, (*x.shape[:-1], len(columns)))


def _filled(rows: Sequence[Sequence[Scalar]], shape: tuple[int, ...]) -> Array:
    """Scalars as an array, which NumPy is not to look into."""
    array = np.empty(int(np.prod(shape, dtype=np.int64)), object)
    array[:] = [x for row in rows for x in row]
    return array.reshape(shape)


def symbols(x: Any) -> Symbols:
    """An array, or a number, as symbols."""
    array = np.asarray(x, object)
    return array.view(Symbols)


@dataclass(frozen=True, eq=False)
class Twin:
    """A recorded step. Its numbers stand in one array: inputs, then states, then what each operation computes, in order.

    Args:
        code: the operations one after the other, each its code (``CODES``) and where its operands stand; of a weighted sum
            the list of its operands in ``lists`` and where its bias, then its weights, begin in ``numbers``; of a row
            of a table where the row's number stands, where the table begins, its columns, the column, and its last row.
        lists: lists of places, each after its length.
        numbers: weights and constants.
        initial: of all states.
        outputs, states: where the values of each output, and of the states after the step, stand.
        inputs: how many numbers come in.
    """

    code: Array
    lists: Array
    numbers: Floats
    initial: Floats
    outputs: tuple[Array, ...]
    states: Array
    inputs: int


def twin(net: Net) -> Twin:
    """Record a net's step; raises Untraceable."""
    _check_steady(net)
    first, *others = (_Tape(net, tick).twin for tick in TICKS)
    for other in others:
        if not (np.array_equal(first.code, other.code) and np.array_equal(first.numbers, other.numbers)):
            raise Untraceable("its step is not the same at all times")
    return first


def _check_steady(net: Net) -> None:
    """Raise Untraceable where not every value is new at every step."""
    weights = sum(np.size(getattr(op, name, 0)) for op in net.ops for name in ("weights", "recurrence"))
    if weights > MOST_WEIGHTS:
        raise Untraceable(f"it has {weights:,} weights; pages hold {MOST_WEIGHTS:,} at most in float64")
    if net.window:
        raise Untraceable("it answers windows")
    for op in net.ops:
        if op.elastic or op.timing.tail or any(net.values[n].clock.rate > 1 for n in op.outputs):
            raise Untraceable(f"{op.name} ({op.describe()}) does not give a value at every step")
        if any(net.values[n].clock.rate and net.values[n].clock != EVERY_STEP for n in op.outputs):
            raise Untraceable(f"{op.name} ({op.describe()}) does not give a value at every step")


class _Tape:
    """One step on symbols, written down."""

    def __init__(self, net: Net, tick: int) -> None:
        self.places: dict[int, int] = {}
        self.lists: dict[tuple[int, ...], int] = {}
        self.code: list[int] = []
        self.numbers: list[float] = []
        self.length = self.listed = 0
        self.tables: dict[int, int] = {}
        self.constants: dict[float, Scalar] = {}
        self.alive: list[Scalar] = []
        values: dict[str, Array] = {v.name: self._leaves(v.shape) for v in net.inputs}
        self.inputs = self.length
        state: States = {s.name: self._leaves(s.shape) for s in net.states()}
        initial = [np.asarray(s.initial, np.float64).ravel() for s in net.states()]
        values |= {f.state.name: state[f.state.name] for f in net.feedback}
        for op in net.ops:
            self._run(op, values, state, net, tick)
        for f in net.feedback:
            state[f.state.name] = values[f.next]
        ends = [*(values[o.value] for o in net.outputs), *(state[s.name] for s in net.states())]
        self._write([x for end in ends for x in np.asarray(end, object).ravel()])
        at = [np.array([self.places[id(x)] for x in map(self.kept, np.asarray(e, object).ravel())], int) for e in ends]
        count = len(net.outputs)
        self.twin = Twin(
            np.array(self.code, np.int32),
            np.array([n for key in self.lists for n in (len(key), *key)], np.int32),
            np.array(self.numbers, np.float64),
            np.concatenate([*initial, np.zeros(0)]),
            tuple(at[:count]),
            np.concatenate([*at[count:], np.zeros(0, int)]),
            self.inputs,
        )

    def _leaves(self, shape: tuple[int, ...]) -> Symbols:
        """Symbols ``[1, *shape]`` for what comes in."""
        count = int(np.prod(shape, dtype=np.int64))
        found = [Scalar(LEAF, value=self.length + k) for k in range(count)]
        self.alive += found
        self.places |= {id(x): self.length + k for k, x in enumerate(found)}
        self.length += count
        return symbols(_filled([found], (1, *shape)))

    def _run(self, op: Op, values: dict[str, Array], state: States, net: Net, tick: int) -> None:
        xs = [symbols(values[name]) for name in op.inputs]
        if isinstance(op, Embedding):
            results: list[Array] | None = [_rows(op, xs[0])]
        else:
            kept = bool(op.states())
            try:
                results = op.step(xs if kept else [x[None] for x in xs], state, tick)
            except Untraceable as reason:
                raise Untraceable(f"{op.name} ({op.describe()}): {reason}") from None
            except Exception:  # whatever NumPy makes of symbols where a step asks for more than arithmetic
                raise Untraceable(f"{op.name} ({op.describe()}) is not recorded") from None
        if results is None:
            raise Untraceable(f"{op.name} ({op.describe()}) does not give a value at every step")
        for name, result in zip(op.outputs, results, strict=True):
            values[name] = symbols(result).reshape(1, *net.values[name].shape)

    def kept(self, x: Any) -> Scalar:
        """The scalar of an element; equal constants are one."""
        if isinstance(x, Scalar) and x.kind != CONSTANT:
            return x
        value = float(x.value if isinstance(x, Scalar) else x)
        return self.constants.setdefault(value, _constant(value))

    def _write(self, roots: Sequence[Any]) -> None:
        """Number everything that the roots need, operands first."""
        roots = [self.kept(x) for x in roots]
        uses = _uses(roots)
        stack: list[tuple[Scalar, list[Scalar] | None]] = [(x, None) for x in reversed(roots)]
        while stack:
            x, operands = stack.pop()
            if id(x) in self.places:
                continue
            if operands is None:
                terms = list(_terms(x, uses)) if x.kind in SUMS else None
                needed = [t for _, t in terms if t is not None] if terms is not None else [self.kept(o) for o in x.of]
                stack.append((x, needed))
                stack += [(o, None) for o in reversed(needed) if id(o) not in self.places]
            else:
                self._emit(x, operands, uses)

    def _emit(self, x: Scalar, operands: Sequence[Scalar], uses: dict[int, int]) -> None:
        at = [self.places[id(o)] for o in operands]
        if x.kind in (*SUMS, CONSTANT):
            terms = list(_terms(x, uses)) if x.kind in SUMS else [(x.value, None)]
            bias = sum(c for c, t in terms if t is None)
            self.code += [CODES[SUM], self._list(tuple(at)), len(self.numbers)]
            self.numbers += [bias, *(c for c, t in terms if t is not None)]
        elif x.kind == ROW:
            op, column = x.value
            if id(op) not in self.tables:
                self.tables[id(op)] = len(self.numbers)
                self.numbers += op.table.ravel().tolist()
            self.code += [CODES[ROW], *at, self.tables[id(op)], op.columns, column, len(op.table) - 1]
        else:
            self.code += [CODES[x.kind], *at]
        self.places[id(x)] = self.length
        self.length += 1

    def _list(self, places: tuple[int, ...]) -> int:
        if places not in self.lists:
            self.lists[places] = self.listed
            self.listed += 1 + len(places)
        return self.lists[places]


def _rows(op: Embedding, ids: Array) -> Array:
    """The rows that symbols name: the one thing that is looked up, not computed."""
    rows = [[Scalar(ROW, (i,), (op, k)) for k in range(op.columns)] for i in ids.ravel()]
    return _filled(rows, (len(rows), op.columns))


def _uses(roots: Sequence[Scalar]) -> dict[int, int]:
    """How often each scalar is read; what is read twice is computed once."""
    uses: dict[int, int] = {id(x): 2 for x in roots}
    seen, stack = set[int](), list(roots)
    while stack:
        x = stack.pop()
        if id(x) in seen:
            continue
        seen.add(id(x))
        for o in x.of:
            uses[id(o)] = uses.get(id(o), 0) + 1
            stack.append(o)
    return uses


def _terms(x: Scalar, uses: dict[int, int]) -> Iterator[tuple[float, Scalar | None]]:
    """The terms of a sum: coefficient and scalar, None for a constant; sums that only this one reads are part of it."""
    stack = [(x, True)]
    while stack:
        term, top = stack.pop()
        if term.kind == "add" and (top or uses[id(term)] == 1):
            stack += [(o, False) for o in reversed(term.of)]
        elif term.kind == "dot" and (top or uses[id(term)] == 1):
            constant = [w * x.value for w, x in zip(term.value, term.of, strict=True) if x.kind == CONSTANT]
            yield float(sum(constant)), None
            yield from ((w, x) for w, x in zip(term.value, term.of, strict=True) if x.kind != CONSTANT)
        elif term.kind == CONSTANT:
            yield term.value, None
        elif term.kind == "multiply" and CONSTANT in (term.of[0].kind, term.of[1].kind):
            factor, other = term.of if term.of[0].kind == CONSTANT else term.of[::-1]
            yield factor.value, other
        elif term.kind == "negative":
            yield -1.0, term.of[0]
        else:
            yield 1.0, term
