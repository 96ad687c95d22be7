"""The certificate derived anew from the text of the emitted C, by a program that shares nothing with the compiler.

Constants, parameter structs and calls are read from NAME.c as text, of the portable target. For each kernel in KERNELS the
worst case of its accumulators follows from the numbers in the C: the magnitudes of a row's weights, its bias, multiplier and
shift, and what the kernels before leave in its operand. What is derived must fit 32 bits, and the certificate must not be less.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

FITS = 1 << 31
UNSIGNED = "sum of terms"
"""What has 32 bits without a sign."""
SLACK = 1 / 64
"""By how much the certificate may be below what is derived: the C does not tell -32768 from -32767, nor -128 from -127."""
FIELDS = {"rnnc_scale1": 2, "rnnc_line": 3, "rnnc_sum": 4, "rnnc_root": 3}
BATCH = 4
"""Units whose gates the portable kernels compute together."""
RUNNING = 1 << 30
"""The limit of a running sum."""
Found = Iterator[tuple[str, int]]
FIELD = re.compile(r"\.([\w.\[\]]+) = ([^,]+),")
FOLDED = re.compile(
    r"static RNNC_APART void (\w+)\([^)]*\)\s*\{\s*const \w+ q = \{([^;]*)\};\s*(?:\(void\)p;\s*)?(rnnc_\w+)\(&q"
)


@dataclass
class Source:
    """What a C file defines.

    Args:
        arrays: by name; the elements of structs follow one another.
        types: of their elements.
        params: the fields of each parameter struct, as text.
        folded: for each function that holds parameters of a kernel, the kernel and these.
    """

    arrays: dict[str, list[int]] = field(default_factory=dict)
    types: dict[str, str] = field(default_factory=dict)
    params: dict[str, dict[str, str]] = field(default_factory=dict)
    folded: dict[str, tuple[str, dict[str, str]]] = field(default_factory=dict)

    @staticmethod
    def of(text: str) -> Source:
        """Read a C file."""
        source = Source()
        text = re.sub(r"/\*.*?\*/", "", text, flags=re.DOTALL)
        for ctype, name, body in re.findall(r"static const (\w+)[\w\s]*? (\w+)\[\d+\] = \{(.*?)\};", text, re.DOTALL):
            source.arrays[name] = [int(n) for n in re.findall(r"-?\d+", body)]
            source.types[name] = ctype
        for name, body in re.findall(r"static const \w+_params[\w\s]*? (\w+) = \{(.*?)\n\};", text, re.DOTALL):
            source.params[name] = dict(FIELD.findall(body))
        for name, body, kernel in FOLDED.findall(text):
            source.folded[name] = kernel, {f: v for f, v in FIELD.findall(body) if not v.startswith("p->")}
        return source

    def call(self, function: str, params: str) -> tuple[str, dict[str, str]]:
        """The kernel that a call ends in, and its parameters."""
        kernel, own = self.folded.get(function, (function, {}))
        return kernel, {**self.params.get(params, {}), **own}

    def rows(self, name: str) -> list[list[int]]:
        """The elements of an array of structs."""
        size, flat = FIELDS.get(self.types[name], 1), self.arrays[name]
        return [flat[k : k + size] for k in range(0, len(flat), size)]


@dataclass
class Kernel:
    """One call: its struct, and the largest magnitude of each operand."""

    source: Source
    fields: Mapping[str, str]
    wide: bool
    reach: Sequence[int]

    def __getitem__(self, name: str) -> int:
        return int(self.fields.get(name, "0"))

    def array(self, name: str) -> list[int]:
        """The array that a field points at."""
        return self.source.arrays[self.fields[name]]

    def structs(self, name: str) -> list[list[int]]:
        """The same, of structs."""
        return self.source.rows(self.fields[name])

    def weights(self) -> list[int]:
        """The weights; those of wide rows are two bytes each where the array is of bytes."""
        flat, name = self.array("weights"), self.fields["weights"]
        if not self.wide or self.source.types[name] != "int8_t":
            return flat
        return [(low & 255) + 256 * high for low, high in zip(flat[::2], flat[1::2], strict=True)]


def _sums(weights: Sequence[int], columns: int) -> list[int]:
    """The magnitudes of each row, added up."""
    if not columns:
        return []
    return [sum(map(abs, weights[k : k + columns])) for k in range(0, len(weights), columns)]


def _scaled(accumulator: int, scale: Sequence[int]) -> int:
    """|(a >> p) m| for |a| <= accumulator."""
    m, p = scale
    return ((accumulator >> p) + 1) * m


def _one_block(kernel: Kernel, sums: Sequence[int]) -> Found:
    biases, scales = kernel.array("bias"), kernel.structs("scale")
    worst = [s * kernel.reach[0] + abs(b) for s, b in zip(sums, biases, strict=True)]
    yield "rows.accumulator", max(worst)
    yield "rows.product", max(_scaled(a, s) for a, s in zip(worst, scales, strict=True))


def _dense(kernel: Kernel) -> Found:
    return _one_block(kernel, _sums(kernel.weights(), kernel["columns"]))


def _grouped(kernel: Kernel) -> Found:
    weights, rows = kernel.weights(), kernel["rows"]
    if kernel["rows_of_group"] == 1 and kernel["channels_of_group"] == 1:
        return _one_block(kernel, [sum(map(abs, weights[r::rows])) for r in range(rows)])
    return _one_block(kernel, _sums(weights, len(weights) // rows))


def _window_dense(kernel: Kernel) -> Found:
    rows, scales = kernel["rows"], kernel.structs("scale")
    worst = [
        s * kernel.reach[0] + (1 << p >> 1)
        for s, (_, p) in zip(_sums(kernel.weights(), kernel["columns"]), scales, strict=True)
    ]
    products = [_scaled(a, s) for a, s in zip(worst, scales, strict=True)]
    yield "accumulator", max(worst)
    yield "product", max(products)
    total = max(abs(start) + sum(products[r::rows]) for r, start in enumerate(kernel.array("start")))
    yield "sum", total + max(products) + 128


def _gates(kernel: Kernel, gates: int, constants: int) -> Iterator[tuple[int, list[int], list[int]]]:
    """For each gate of each unit: its number, its sums over x and over h, and the constants of its unit."""
    columns, units = kernel["columns"], kernel["units"]
    weights, bias = kernel.weights(), kernel.array("bias")
    sx, sh = kernel.array("scale_x"), kernel.array("scale_h")
    at = 0
    for batch in range((units + BATCH - 1) // BATCH):
        over_x = _sums(weights[at : at + gates * BATCH * columns], columns)
        at += gates * BATCH * columns
        over_h = _sums(weights[at : at + gates * BATCH * units], units)
        at += gates * BATCH * units
        for k in range(gates * BATCH):
            unit, row = k % BATCH, batch * gates * BATCH + k
            own = [bias[batch * constants * BATCH + c * BATCH + unit] for c in range(constants)]
            scales = [sx[row] >> 16, sx[row] & 255, sh[row] >> 16, sh[row] & 255]
            yield k // BATCH, [over_x[k] * kernel.reach[0], over_h[k] * kernel.reach[1], *scales], own


def _two_blocks(name: str, found: Sequence[tuple[int, int, Sequence[int]]]) -> Found:
    yield f"{name}.x", max(x for x, _, _ in found)
    yield f"{name}.h", max(h for _, h, _ in found)
    yield f"{name}.sum", max(_scaled(x, s[:2]) + _scaled(h, s[2:]) for x, h, s in found)


def _lstm(kernel: Kernel) -> Found:
    found = [(x + abs(own[g]), h, scales) for g, (x, h, *scales), own in _gates(kernel, 4, 4)]
    return _two_blocks("gates", found)


def _gru_after(kernel: Kernel) -> Found:
    rows = list(_gates(kernel, 3, 4))
    yield from _two_blocks("zr", [(x + abs(own[g]), h, scales) for g, (x, h, *scales), own in rows if g < 2])
    new = [(x + abs(own[2]), h + abs(own[3]), scales) for g, (x, h, *scales), own in rows if g == 2]
    yield "n.x.accumulator", max(x for x, _, _ in new)
    yield "n.x.product", max(_scaled(x, s[:2]) for x, _, s in new)
    yield "n.h.accumulator", max(h for _, h, _ in new)
    yield "n.h.product", max(_scaled(h, s[2:]) for _, h, s in new)


def _requantize(kernel: Kernel) -> Found:
    reach = kernel.reach[0] + abs(kernel["x_zero"])
    yield "product", max(reach * m + (1 << p >> 1) for m, p in kernel.structs("scale"))


def _lines(name: str, field_: str, operand: int) -> Callable[[Kernel], Found]:
    def found(kernel: Kernel) -> Found:
        yield name, max(kernel.reach[operand] * abs(f) + abs(o) for o, f, _ in kernel.structs(field_))

    return found


def _two_lines(kernel: Kernel) -> Found:
    yield from _lines("sum a", "lines_a", 0)(kernel)
    yield from _lines("sum b", "lines_b", 1)(kernel)


def _add(kernel: Kernel) -> Found:
    a, b = kernel.reach[:2]
    yield "sum", max(a * abs(fa) + b * abs(fb) + abs(o) for o, fa, fb, _ in kernel.structs("sums"))


def _mul(kernel: Kernel) -> Found:
    a, b = ((kernel.reach[k] + abs(kernel[f"{n}_zero"])) >> kernel[f"{n}_shift"] for k, n in enumerate("ab"))
    yield "product", a * b + max(1 << p >> 1 for _, p in kernel.structs("scales"))


def _reduce_sum(kernel: Kernel) -> Found:
    reach = kernel.reach[0] + abs(kernel["x_zero"])
    yield "sum", (reach * kernel["along.count"] << kernel["up"]) + (1 << kernel["p"] >> 1)


def _softmax(kernel: Kernel) -> Found:
    yield "sum of terms", (kernel["along.count"] << kernel["term_bits"]) - 1


def _running_sum(kernel: Kernel) -> Found:
    yield "sum", RUNNING + kernel.reach[0] + abs(kernel["x_zero"])
    yield "product", max((m * RUNNING >> 15) + (1 << p >> 1) for m, p in kernel.structs("scale"))


def _running_mean(kernel: Kernel) -> Found:
    yield "sum", kernel["limit"] + kernel.reach[0]
    yield "mean", 1 << 22 << kernel["finer"]


def _leaky_relu(kernel: Kernel) -> Found:
    steepest = max(map(abs, kernel.array("slopes")))
    yield "product", (kernel.reach[0] + abs(kernel["x_zero"])) * steepest + (1 << kernel["shift"] >> 1)


KERNELS: dict[str, tuple[Callable[[Kernel], Found], int]] = {
    "rnnc_dense": (_dense, 1),
    "rnnc_conv": (_dense, 1),
    "rnnc_conv_grouped": (_grouped, 1),
    "rnnc_window_dense_add": (_window_dense, 1),
    "rnnc_lstm": (_lstm, 2),
    "rnnc_gru_after": (_gru_after, 2),
    "rnnc_requantize": (_requantize, 1),
    "rnnc_affine": (_lines("sum", "lines", 0), 1),
    "rnnc_minmax": (_two_lines, 2),
    "rnnc_magnitude": (_two_lines, 2),
    "rnnc_add": (_add, 2),
    "rnnc_mul": (_mul, 2),
    "rnnc_leaky_relu": (_leaky_relu, 1),
    "rnnc_reduce_sum": (_reduce_sum, 1),
    "rnnc_softmax": (_softmax, 0),
    "rnnc_log_softmax": (_softmax, 0),
    "rnnc_running_sum": (_running_sum, 1),
    "rnnc_running_mean": (_running_mean, 1),
}
"""What derives a kernel's accumulators, and how many operands it has. Those of other kernels are not derived."""
CALL = re.compile(r"\b(\w+)\(RNNC_PARAMS\(\w+, (\w+)\)((?:, [^;]*)?)\);")


def derived(text: str) -> dict[str, int]:
    """The worst case of each accumulator of a package, by "op.accumulator", from its NAME.c alone."""
    source, held, found = Source.of(text), dict[str, int](), dict[str, int]()
    for function, params, rest in CALL.findall(text):
        name, fields = source.call(function, params)
        args = [a.strip() for a in rest.lstrip(", ").split(", ")]
        kernel = name.removesuffix("_wide")
        if kernel in KERNELS:
            derive, operands = KERNELS[kernel]
            reach = [_reach(fields, held, args[k], k) for k in range(operands)]
            op = re.sub(r"_p\d*$", "", params).split("_", 1)[1]
            for accumulator, worst in derive(Kernel(source, fields, name != kernel, reach)):
                key = f"{op}.{accumulator}"
                found[key] = max(worst, found.get(key, 0))
        for place in args:
            held.pop(place, None)
        if {"lo", "hi"} <= set(fields):
            held[args[-1]] = max(abs(int(fields["lo"])), abs(int(fields["hi"])))
    return found


def _reach(fields: Mapping[str, str], held: Mapping[str, int], place: str, operand: int) -> int:
    """The largest magnitude of an operand: what was clipped into it, else what its bits hold."""
    names = ("x_bits", "a_bits", "bits") if operand == 0 else ("b_bits", "h_bits")
    bits = next(int(fields[n]) for n in names if n in fields)
    full = 1 << (min(bits, 16) - 1)
    return min(held.get(place, full), full)


def faults(text: str, certificate: str) -> list[str]:
    """What does not fit 32 bits, and what the printed certificate says less of than follows from the C.

    Args:
        certificate: as ``str(Certificate)``, a line for each accumulator.
    """
    said = {name: int(worst) for name, worst in re.findall(r"^\s+(\S.*?): (\d+) ", certificate, re.MULTILINE)}
    found = []
    for name, worst in derived(text).items():
        if worst >= FITS << name.endswith(UNSIGNED):
            found.append(f"{name} can reach {worst}, past 2^31")
        listed = _listed(name, said)
        if not listed:
            found.append(f"{name} is not in the certificate")
        elif said[listed] < worst * (1 - SLACK):
            found.append(f"{name} can reach {worst}; the certificate says {said[listed]}")
    return found


def _listed(name: str, said: Iterable[str]) -> str:
    """What the certificate calls an accumulator: rows of other ops may have the name of a block; "" where it has none."""
    op, kind = name.split(".", 1)[0], name.rpartition(".")[2]
    blocks = [n for n in said if n.split(".", 1)[0] == op and n.rpartition(".")[2] == kind]
    return name if name in said else blocks[0] if len(blocks) == 1 else ""
