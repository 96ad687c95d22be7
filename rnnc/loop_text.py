"""Texts of single elements as C: one loop over elements, whose values between two ops are variables."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from rnnc.activations import TABLES_OF
from rnnc.ctext import CText, Written, wrapped
from rnnc.fixed import Format, Ints
from rnnc.functions import FINE_MAX
from rnnc.language import Quantity
from rnnc.readings import Range

ARRAYS = {"int8_t": "bytes", "int16_t": "halves", "int32_t": "words"}
"""The arrays of rnnc_fused_params by their C types, the narrowest first."""
HEADERS = {
    "activation.h": ("rnnc_shift_round(",),
    "extended.h": ("rnnc_mul30(", "rnnc_by_power(", "rnnc_picked("),
    "extended_functions.h": ("rnnc_fine_power_of_two(", "rnnc_fine_quotient("),
    "long_gates.h": ("rnnc_long_sigmoid(",),
    "lut.h": ("rnnc_sigmoid(", "rnnc_tanh("),
}
"""Where the functions are that a loop may call; those of fixed.h aside."""


@dataclass(frozen=True)
class Raised(Written):
    """An expression that is another one times 2^up: a shift back is none."""

    base: Written | None = None
    up: int = 0


@dataclass
class LoopText(CText):
    """The body of a loop over ``size`` elements.

    Args:
        constants: those that differ by element, by the C type that holds them.
    """

    size: int = 0
    constants: dict[str, list[Ints]] = field(default_factory=lambda: {ctype: [] for ctype in ARRAYS})

    def named(self, name: str, meaning: str, x: Quantity) -> Any:
        return x.raw  # what an op gives is a variable, with the op's name

    def differing(self, values: Ints) -> Written:
        flat = np.asarray(values).ravel()
        lo, hi = int(flat.min()), int(flat.max())
        ctype = next(
            t for t, bits in zip(ARRAYS, (8, 16, 32), strict=True) if -(1 << bits - 1) <= lo and hi < 1 << bits - 1
        )
        known = self.constants[ctype]
        number = next((i for i, k in enumerate(known) if np.array_equal(k, flat)), len(known))
        if number == len(known):
            known.append(flat)
        at = f"k + {number * self.size}" if number else "k"
        return Written(lo, hi, f"rnnc_rom_i{ctype.strip('int_')}(&p->{ARRAYS[ctype]}[{at}])")

    def apply(self, op: str, *args: Any) -> Written:
        x, n = args[0], args[1].lo if len(args) > 1 else 0
        if op == "shl":
            base, up = (x.base, x.up + n) if isinstance(x, Raised) else (x, n)
            w = super().apply("shl", base, self.constant(up))
            return Raised(w.lo, w.hi, w.text, w.phase, w.atom, w.additive, base, up)
        if op == "rounded" and isinstance(x, Raised):
            less = n - x.up
            return (
                self.apply("shl", x.base, self.constant(-less))
                if less <= 0
                else super().apply(op, x.base, self.constant(less))
            )
        if op == "sub" and isinstance(args[1], Raised) and x.within(0, 0):
            return self.apply("shl", super().apply(op, x, args[1].base), self.constant(args[1].up))
        if op == "clip" and isinstance(x, Raised):
            lo, hi, up = n, args[2].lo, x.up
            if lo >> up << up == lo and hi >> up << up == hi:
                base = super().apply(op, x.base, self.constant(lo >> up), self.constant(hi >> up))
                return self.apply("shl", base, self.constant(up))
        if op == "by_power":
            return self._by_power(x, args[1])
        return super().apply(op, *args)

    def _by_power(self, x: Written, k: Written) -> Written:
        """One shift where all elements are shifted to the same side, and clipping is idle."""
        plain = super().apply("by_power", x, k)
        n = self._read(k)
        if k.hi < 0 or (k.hi == 0 and x.worst <= FINE_MAX):
            return replace(plain, text=f"rnnc_shift_round({self._read(x, bare=True)}, (uint8_t)-{n})")
        if k.lo >= 0 and x.worst << k.hi <= FINE_MAX:
            return replace(plain, text=f"{self._read(x)} * ((int32_t)1 << {n})", atom=False, additive=True)
        return plain

    def variable(self, name: str, meaning: str, form: Format, raw: Written) -> Quantity:
        """A value under a name of its own."""
        lsb = f", LSB {form.scale[0]:.6g}" if form.uniform else ""
        self._write(f"/* {meaning}: {raw.lo} .. {raw.hi}{lsb} */")
        self._write(f"int32_t {name} = {raw.text};")
        return Quantity(self, Written(raw.lo, raw.hi, name, len(self.phases) - 1), 0)

    def given(self, number: int, form: Format, *, shared: bool) -> Quantity:
        """Input ``number``; the one element that all share, or each its own."""
        short = Range(-form.amax, form.amax) if form.bits < 32 else Range(form.lo, form.hi)
        return self.variable(
            f"a{number}", "input", form, Written(short.lo, short.hi, f"x{number}[{'0' if shared else 'k'}]")
        )

    def put(self, number: int, form: Format, x: Quantity) -> None:
        """Output ``number``."""
        assert x.raw.within(-(1 << form.bits - 1), (1 << form.bits - 1) - 1)
        self._write(f"y{number}[k] = ({form.ctype}){x.raw.text};")

    @property
    def holds(self) -> bool:
        """Whether everything fits 32 bits, as far as ranges tell."""
        return self.terms < 1 << 31

    @property
    def has_constants(self) -> bool:
        """Whether any constant differs by element."""
        return any(self.constants.values())

    def kernel(self, inputs: list[Format], outputs: list[Format]) -> str:
        """The function, its name @."""
        arguments = ["const rnnc_fused_params *p"] if self.has_constants else []
        arguments += [f"const {f.ctype} *x{i}" for i, f in enumerate(inputs)]
        arguments += [f"{f.ctype} *y{i}" for i, f in enumerate(outputs)]
        statements = _needed(self.phases[0])
        body = "\n".join(statements)
        names = [argument.split("*")[1] for argument in arguments]
        lines = [
            f"/* Elementwise ops in one loop. Of each: {self.size} elements. */",
            *wrapped(f"static RNNC_APART void @({', '.join(arguments)})", 0),
            "{",
            "    uint16_t k;",
            *(f"    (void){name};" for name in names if not re.search(rf"\b{name}\b", body)),
            f"    for (k = 0; k < {self.size}; k++) {{",
        ]
        for statement in statements:
            lines += wrapped(statement, 8)
        return "\n".join([*lines, "    }", "}"])

    def headers(self) -> list[str]:
        """The headers of runtime_c that it needs."""
        body = "\n".join(self.phases[0])
        found = [h for h, calls in HEADERS.items() if any(c in body for c in calls)]
        return [*(["fused.h"] if self.has_constants else []), "fixed.h", *found]

    def tables(self) -> tuple[str, ...]:
        """The tables of runtime_c that it reads."""
        body = "\n".join(self.phases[0])
        used = [t for kind in ("sigmoid", "tanh") if f"rnnc_{kind}(" in body for t in TABLES_OF[kind]]
        used += ["fine_exp2", "log2"] if "rnnc_fine_quotient(" in body else []
        used += ["fine_exp2"] if "rnnc_fine_power_of_two(" in body else []
        used += [*TABLES_OF["sigmoid"], "fine_exp2"] if "rnnc_long_sigmoid(" in body else []
        return tuple(dict.fromkeys(used))


def _needed(statements: Sequence[str]) -> list[str]:
    """Statements without the variables that nothing reads, and their comments: a term may be 0 in the units of its sum."""
    kept, read = list[str](), set[str]()
    dropped = False
    for statement in reversed(statements):
        variable = re.match(r"int32_t (\w+) = ", statement)
        if statement.startswith("/*"):
            kept += [] if dropped else [statement]
            continue
        dropped = variable is not None and variable[1] not in read
        if not dropped:
            kept.append(statement)
            read.update(re.findall(r"[A-Za-z_]\w*", statement.partition(" = ")[2]))
    return kept[::-1]
