"""The fixed-point primitives of runtime_c, proved for all arguments by z3 from the text of the C itself.

The body of each function is read from its header as expressions of 32 bits. For the arguments that its comment allows, z3 shows
that no signed operation overflows, no shift is out of range, and the result is what arithmetic without limits gives.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from assurance.store import ROOT, Outcome

WIDE = 72
"""Bits in which the expected result is computed: none of it overflows."""
MINUTES = 2 * 60 * 1000
TOKEN = re.compile(r"\s*(0x[0-9a-fA-F]+u?|\d+u?|->|<<|>>|<=|>=|==|!=|&&|\|\||\w+|.)")
BINARY = {
    "|": 3,
    "^": 4,
    "&": 5,
    "==": 6,
    "!=": 6,
    "<": 7,
    ">": 7,
    "<=": 7,
    ">=": 7,
    "<<": 8,
    ">>": 8,
    "+": 9,
    "-": 9,
    "*": 10,
}
READS = re.compile(r"rnnc_rom_\w+$")


@dataclass
class Word:
    """An integer of C: 32 bits and whether it is signed."""

    bits: Any
    signed: bool = True


@dataclass
class Function:
    """The evaluation of one function: what its names stand for, and what must hold on the way.

    Args:
        memory: what ``&p->field`` or ``p[i]`` reads, by the text of the expression.
    """

    z3: Any
    names: dict[str, Word]
    memory: Mapping[str, Word] = field(default_factory=dict)
    claims: list[tuple[str, Any]] = field(default_factory=list)
    tokens: list[str] = field(default_factory=list)

    def result(self, body: str) -> Word:
        """What a body of declarations and one return gives."""
        for statement in filter(None, (" ".join(s.split()) for s in body.split(";"))):
            if found := re.match(r"u?int\d+_t (\w+) = (.*)", statement):
                self.names[found[1]] = self._whole(found[2])
            elif statement.startswith("return "):
                return self._whole(statement.removeprefix("return "))
            else:
                raise NotImplementedError(statement)
        raise NotImplementedError("no return")

    def _whole(self, text: str) -> Word:
        self.tokens = TOKEN.findall(text)
        value = self._ternary()
        assert not self.tokens, self.tokens
        return value

    def _ternary(self) -> Word:
        condition = self._binary(0)
        if self.tokens[:1] != ["?"]:
            return condition
        self._take("?")
        yes = self._ternary()
        self._take(":")
        no = self._ternary()
        return Word(self.z3.If(condition.bits != 0, yes.bits, no.bits), yes.signed and no.signed)

    def _take(self, expected: str = "") -> str:
        token = self.tokens.pop(0)
        assert not expected or token == expected, (token, expected)
        return token

    def _binary(self, least: int) -> Word:
        left = self._unary()
        while self.tokens and BINARY.get(self.tokens[0], -1) > least:
            operator = self._take()
            left = self._apply(operator, left, self._binary(BINARY[operator]))
        return left

    def _unary(self) -> Word:
        token = self._take()
        if token == "-":
            return self._apply("-", Word(self.z3.BitVecVal(0, 32)), self._unary())
        if token == "~":
            word = self._unary()
            return Word(~word.bits, word.signed)
        if token == "(":
            if self.tokens[1] == ")" and self.tokens[0].endswith("_t"):
                kind = self._take()
                self._take(")")
                return self._cast(kind, self._unary())
            inner = self._ternary()
            self._take(")")
            return inner
        if token[0].isdigit():
            number = int(token.rstrip("u"), 0)
            return Word(self.z3.BitVecVal(number, 32), not token.endswith("u") and number < 1 << 31)
        return self._name(token)

    def _name(self, token: str) -> Word:
        if self.tokens[:1] == ["("] and READS.match(token):
            self._take("(")
            text = ""
            while self.tokens[0] != ")":
                text += self._take()
            self._take(")")
            return self.memory[text]
        if self.tokens[:1] == ["("]:
            return self._call(token)
        if self.tokens[:1] == ["["]:
            text = token
            while not text.endswith("]"):
                text += self._take()
            return self.memory[text]
        return self.names[token]

    def _call(self, name: str) -> Word:
        """Another function, of which its own theorem is used."""
        arguments = []
        while self._take() != ")":
            arguments.append(self._ternary())
        if name != "rnnc_clip":
            raise NotImplementedError(name)
        x, lo, hi = (a.bits for a in arguments)
        return Word(_clip(self.z3, x, lo, hi))

    def _cast(self, kind: str, word: Word) -> Word:
        width = int(re.sub(r"\D", "", kind))
        signed = kind.startswith("int")
        if width == 32:
            return Word(word.bits, signed)
        low = self.z3.Extract(width - 1, 0, word.bits)
        extend = self.z3.SignExt if signed else self.z3.ZeroExt
        wide = extend(32 - width, low)
        if signed:
            self.claims.append((f"the cast to {kind} changes nothing", wide == word.bits))
        return Word(wide)

    def _apply(self, operator: str, left: Word, right: Word) -> Word:
        z3, signed = self.z3, left.signed and right.signed
        a, b = left.bits, right.bits
        if operator in ("<<", ">>"):
            self.claims.append((f"{operator} is by 0 .. 31", z3.ULT(b, 32)))
            if operator == ">>":
                return Word(a >> b if left.signed else z3.LShR(a, b), left.signed)
            if left.signed:
                whole = z3.SignExt(32, a) << z3.ZeroExt(32, b)
                self.claims.append(("<< is of a number that stays positive", z3.And(a >= 0, whole < 1 << 31)))
            return Word(a << b, left.signed)
        if operator in ("+", "-", "*"):
            value = {"+": a + b, "-": a - b, "*": a * b}[operator]
            if signed:
                x, y = z3.SignExt(32, a), z3.SignExt(32, b)
                wide = {"+": x + y, "-": x - y, "*": x * y}[operator]
                self.claims.append((f"{operator} does not overflow", z3.SignExt(32, value) == wide))
            return Word(value, signed)
        if operator in ("&", "|", "^"):
            return Word({"&": a & b, "|": a | b, "^": a ^ b}[operator], signed)
        truth = {
            "<": a < b if signed else z3.ULT(a, b),
            ">": a > b if signed else z3.UGT(a, b),
            "<=": a <= b if signed else z3.ULE(a, b),
            ">=": a >= b if signed else z3.UGE(a, b),
            "==": a == b,
            "!=": a != b,
        }[operator]
        return Word(z3.If(truth, z3.BitVecVal(1, 32), z3.BitVecVal(0, 32)))


@dataclass(frozen=True)
class Theorem:
    """A function of a header: its arguments with their bounds, and the result as a formula of wide numbers."""

    header: str
    function: str
    bounds: Mapping[str, tuple[int, int]]
    wanted: Callable[[Any, Mapping[str, Any]], Any]
    memory: Mapping[str, str] = field(default_factory=dict)
    also: Callable[[Any, Mapping[str, Any]], Any] | None = None
    unsigned: tuple[str, ...] = ()


def _clip(z3: Any, x: Any, lo: Any, hi: Any) -> Any:
    return z3.If(x < lo, lo, z3.If(x > hi, hi, x))


def _floor(x: Any, bits: int) -> Any:
    return x >> bits


def _product(z3: Any, a: Any, b: Any) -> Any:
    return z3.SignExt(WIDE - 32, a * b)


I32 = (-(1 << 31), (1 << 31) - 1)
BYTE = (0, 255)
THEOREMS = {
    "clip": Theorem(
        "fixed.h", "rnnc_clip", {"x": I32, "lo": I32, "hi": I32}, lambda z, v: _clip(z, v["x"], v["lo"], v["hi"])
    ),
    "mul15": Theorem(
        "fixed.h",
        "rnnc_mul15",
        {"u": (-32768, 32768), "d": (-(1 << 30), 1 << 30)},
        # u d = 2^15 u h + u l with h = d >> 15, l = d & 32767; both are products of 32 bits, which do not overflow
        lambda z, v: _floor(
            (_product(z, v["u bits"], v["d bits"] >> 15) << 15) + _product(z, v["u bits"], v["d bits"] & 32767) + 16384,
            15,
        ),
    ),
    "narrow": Theorem(
        "fixed.h", "rnnc_narrow", {"h": (-32768, 32767)}, lambda z, v: _clip(z, (v["h"] + 128) >> 8, -128, 127)
    ),
    "upper": Theorem(
        "fixed.h",
        "rnnc_upper",
        {"s": (-32767 << 14, 32767 << 14)},
        lambda z, v: _floor(v["s"] + 8192, 14),
    ),
    "requantize1": Theorem(
        "fixed.h",
        "rnnc_requantize1",
        {"a": I32, "m": (1, 65535), "p": (0, 24)},
        lambda z, v: _floor((v["a"] >> v["p"]) * v["m"], 8),
        {"&s->p": "p", "&s->m": "m"},
        lambda z, v: z.And((v["a"] >> v["p"]) * v["m"] < 1 << 31, (v["a"] >> v["p"]) * v["m"] >= -(1 << 31)),
    ),
    "shift": Theorem("fixed.h", "rnnc_shift", {"x": I32, "s": (0, 24)}, lambda z, v: v["x"] >> v["s"], unsigned=("s",)),
    "on-line": Theorem(
        "loops.h",
        "rnnc_on_line",
        {"x": (-(1 << 16), 1 << 16), "f": (-32768, 32767), "o": (-(1 << 30), 1 << 30), "n": (0, 30)},
        lambda z, v: (v["x"] * v["f"] + v["o"]) >> v["n"],
        {"&line->factor": "f", "&line->offset": "o", "&line->shift": "n"},
        lambda z, v: z.And(
            v["x"] * v["f"] + v["o"] < 1 << 31, v["x"] * v["f"] + v["o"] >= -(1 << 31), v["x"] * v["f"] < 1 << 31
        ),
    ),
    "read-u32": Theorem(
        "blob.h",
        "rnnc_read_u32",
        {"a": BYTE, "b": BYTE, "c": BYTE, "d": BYTE},
        lambda z, v: v["a"] + 256 * v["b"] + 65536 * v["c"] + 16777216 * v["d"],
        {"p[0]": "a", "p[1]": "b", "p[2]": "c", "p[3]": "d"},
    ),
}


def body_of(theorem: Theorem) -> str:
    """The statements of the function in its header."""
    text = re.sub(r"/\*.*?\*/", "", (ROOT / "runtime_c" / theorem.header).read_text(), flags=re.DOTALL)
    found = re.search(rf"\b{theorem.function}\([^)]*\)\s*\{{(.*?)\n\}}", text, re.DOTALL)
    assert found, f"{theorem.header} has no {theorem.function}"
    return found[1]


def run(shard: str) -> Outcome:
    """One theorem: each claim by itself."""
    try:
        import z3
    except ImportError:
        return Outcome(0, ["z3-solver is not installed: pip install -e '.[dev]'"])
    return prove(shard, THEOREMS[shard], body_of(THEOREMS[shard]), z3)


def prove(name: str, theorem: Theorem, body: str, z3: Any) -> Outcome:
    """Whether a body does what its theorem says."""
    bits = {n: z3.BitVec(n, 32) for n in theorem.bounds}
    words = {n: Word(b, n not in theorem.unsigned) for n, b in bits.items()}
    wide = {n: z3.SignExt(WIDE - 32, b) for n, b in bits.items()}
    wide |= {f"{n} bits": b for n, b in bits.items()}
    given = [z3.And(b >= lo, b <= hi) for b, (lo, hi) in zip(bits.values(), theorem.bounds.values(), strict=True)]
    given += [theorem.also(z3, wide)] if theorem.also else []
    function = Function(z3, dict(words), {text: words[n] for text, n in theorem.memory.items()})
    result = function.result(body)
    extend = z3.SignExt if result.signed else z3.ZeroExt
    claims = [*function.claims, ("the result", extend(WIDE - 32, result.bits) == theorem.wanted(z3, wide))]
    failures = []
    for what, claim in claims:
        solver = z3.Solver()
        solver.set("timeout", MINUTES)
        solver.add(*given, z3.Not(claim))
        if (answer := solver.check()) != z3.unsat:
            model = str(solver.model()) if answer == z3.sat else "no proof in time"
            failures.append(f"{name}: {what}: {model}")
    return Outcome(1, failures)
