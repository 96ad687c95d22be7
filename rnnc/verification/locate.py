"""Where the C leaves the oracle: the first op, its value or state, the step and the element.

The package's own text is built once more with a look at every value right after the calls of its op, and at every state after
each step. Nothing else changes: constants, kernels and the memory that values share are those of the package. C and oracle then
run side by side, a step at a time, to the first number that differs. Where windows overlap, each is run from its first frame to
its last by itself.
"""

from __future__ import annotations

import ctypes
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from rnnc.backend.emit.spelling import address, condition, statement
from rnnc.backend.emit.step import step_head
from rnnc.backend.guards import ALWAYS_NEW, Always
from rnnc.backend.places import place_of
from rnnc.backend.program import Computed, Program
from rnnc.files import write_files
from rnnc.fixed import Format
from rnnc.interruption import TemporaryFolder
from rnnc.net import Array
from rnnc.qnet import QOp
from rnnc.streams import Stream, stream_qnet
from rnnc.verification.host import OracleRun, build

LOOK = "rnnc_look"
STEPPED = """
{head}
{{
    const int wrote = {call};
    {looks}
    {LOOK}({end}, s, 0);
    return wrote;
}}
"""
MOST_WINDOWS = 64
DECLARED = f"#include <stddef.h>\n#include <stdint.h>\nvoid {LOOK}(int32_t k, const void *p, size_t n);\n"
NUMBER_BYTES = 4
Order = Literal["<", ">", "="]
"""A byte order, as NumPy writes it."""

TRACE = """
#include <string.h>
#include "{name}.h"

/* What was seen in the last call: of each look its number, then the bytes. */
static {name}_t s;
static uint8_t seen[{room}];
static size_t used;
{buffers}

void {look}(int32_t k, const void *p, size_t n);
void rnnc_trace_reset(void);
int32_t rnnc_trace_step({parameters});
int32_t rnnc_trace_flush(void);
const uint8_t *rnnc_trace_seen(void);

void {look}(int32_t k, const void *p, size_t n)
{{
    if (used + sizeof k + n <= sizeof seen) {{
        memcpy(seen + used, &k, sizeof k);
        memcpy(seen + used + sizeof k, p, n);
        used += sizeof k + n;
    }}
}}

const uint8_t *rnnc_trace_seen(void) {{ return seen; }}

void rnnc_trace_reset(void)
{{
    memset(&s, 0x5a, sizeof s);
    {name}_reset(&s);
}}

int32_t rnnc_trace_step({parameters})
{{
    used = 0;
    {step};
    return (int32_t)used;
}}

int32_t rnnc_trace_flush(void)
{{
    used = 0;
    {flush}
    return (int32_t)used;
}}
"""


@dataclass(frozen=True)
class Difference:
    """A number that differs: element ``element`` of what is called ``what``."""

    op: QOp
    what: str
    element: int
    c: int
    oracle: int

    def __str__(self) -> str:
        node = f", {self.op.op.node!r} in the file" if self.op.op.node else ""
        numbers = f"C {self.c}, oracle {self.oracle}"
        return f"{self.op.name} ({self.op.op.describe()}{node}) differs first: {self.what}, element {self.element}: {numbers}"


def locate(program: Program, files: Mapping[str, str], run: OracleRun, lane: int, step: int = 0) -> str:
    """The first number of a lane that differs, with its op, step (from 1) and element (from 0); "" where none does.

    Args:
        step: where a difference shows; where windows overlap, those that are under way then are run.

    Raises VerificationError where the C with its looks does not compile.
    """
    sequence = f"sequence {run.batch.members[lane]}"
    with TemporaryFolder() as folder:
        trace, oracle = _Trace(program, files, Path(folder)), OracleTrace(program)
        for first, last in _stretches(program, run.batch.steps, step):
            of_window = f" of the window that begins at step {first + 1}" if program.overlap else ""
            for t in range(first, last):
                frame = {name: x[t : t + 1, lane : lane + 1] for name, x in run.inputs.items()}
                oracle.step(frame)
                if found := oracle.first(trace.step(frame)):
                    return f"{found}, step {t - first + 1}{of_window} of {sequence}"
        oracle.drain()
        found = oracle.first(trace.flush())
        return f"{found}, after the last step of {sequence}" if found else ""


def _stretches(program: Program, steps: int, step: int) -> list[tuple[int, int]]:
    """The steps to run: all of them, or those of each window that step ``step`` (from 0) is in."""
    overlap = program.overlap
    if not overlap:
        return [(0, steps)]
    earliest = max(0, -(-(step - overlap.window + 1) // overlap.hop))
    starts = [k * overlap.hop for k in range(earliest, step // overlap.hop + 1)]
    return [(a, a + overlap.window) for a in starts if a + overlap.window <= steps][:MOST_WINDOWS]


def looked_at(program: Program, source: str, looks: Sequence[Computed]) -> str:
    """NAME.c with a look at each value after the last call that has its address, or the loops that it is in; where that is not
    found there is none."""
    calls = program.calls
    after: dict[int, list[str]] = {}
    for number, look in enumerate(looks):
        own = [k for k, c in enumerate(calls) if c.op == look.call]
        k = max((k for k in own if look.place in map(place_of, calls[k].args)), default=own[-1])
        after.setdefault(k, []).append(_look(program, number, look))
    lines, due, at, loops = list[str](), list[str](), 0, 0
    for line in source.splitlines():
        lines.append(line)
        if at < len(calls) and line.strip() == statement(program, calls[at]):
            due += after.get(at, [])
            loops = len(calls[at].times)
            at += 1
        elif line.strip() == "}":
            loops = max(0, loops - 1)
        if not loops:
            lines += due
            due = []
    text = re.sub(rf"\b{program.name}_step\(", f"{program.name}_stepped(", "\n".join(lines))
    return DECLARED + text + _stepped(program, len(looks))


def _stepped(program: Program, first: int) -> str:
    """NAME_step, with a look at each state behind it, and one at nothing; of windows that overlap it takes one to its end."""
    n, ports = program.name, [p.c_name for p in (*program.inputs, *program.outputs)]
    if program.overlap:
        call = f"{n}_window(s, &s->w[0], {', '.join(ports)})"
    elif program.returns:
        call = f"{n}_stepped(s, {', '.join(ports)})"
    else:
        call = f"({n}_stepped(s, {', '.join(ports)}), 1)"
    of = "s->w[0]." if program.overlap else "s->"
    looks = [f"{LOOK}({first + k}, {of}{m.c_name}, sizeof {of}{m.c_name});" for k, m in enumerate(program.members)]
    text = STEPPED.format(
        head=step_head(program), call=call, looks="\n    ".join(looks), LOOK=LOOK, end=first + len(looks)
    )
    return text if program.returns else text.replace("return wrote;", "(void)wrote;")


def _look(program: Program, number: int, value: Computed) -> str:
    form, size = program.qnet.formats[value.value], program.qnet.values[value.value].size
    look = f"{LOOK}({number}, {address(program, value.place)}, {size} * sizeof({form.ctype}));"
    return look if isinstance(value.guard, Always) else f"if ({condition(value.guard)}) {{ {look} }}"


def visible(program: Program) -> list[Computed]:
    """The values whose guard the C computes."""
    known = {ALWAYS_NEW, program.live, *program.guards}
    return [c for c in program.computed if c.guard in known]


class OracleTrace:
    """The oracle beside it, and what belongs to each op, in order: its values, then its states."""

    def __init__(self, program: Program) -> None:
        self.program, self.values = program, dict[str, list[Array]]()
        self.stream: Stream = stream_qnet(program.qnet, 1, self._observe)
        self.numbers = {p.value: k for k, p in enumerate(visible(program))}
        self.members = {m.state.name: len(self.numbers) + k for k, m in enumerate(program.members)}

    def _observe(self, name: str, ticks: Array) -> None:
        if name in self.numbers:
            self.values.setdefault(name, []).extend(ticks[:, 0])

    def step(self, frame: Mapping[str, Array]) -> None:
        """Take one frame ``[1, 1, *shape]`` of each input."""
        self.values.clear()
        self.stream.advance(frame)

    def drain(self) -> None:
        """Go past the last frame."""
        self.values.clear()
        self.stream.drain()

    def first(self, seen: Mapping[int, list[bytes]], order: Order = "=") -> Difference | None:
        """The first number of the last call that differs from what was seen of the C; states where they were looked at."""
        q = self.program.qnet
        for op in q.ops:
            for name in op.outputs:
                ticks = zip(seen.get(self.numbers.get(name, -1), []), self.values.get(name, []), strict=False)
                for data, oracle in ticks:
                    found = differs(
                        op, f"value {name!r}", np.frombuffer(data, dtype(q.formats[name]).newbyteorder(order)), oracle
                    )
                    if found:
                        return found
            owned = [*op.states(), *(f.state for f in q.feedback if f.next in op.outputs)]
            for state in owned:
                for data in seen.get(self.members[state.name], []):
                    c = np.frombuffer(data, dtype(state.format).newbyteorder(order))
                    found = differs(op, f"state {state.name!r}", c, self.stream.state[state.name][0])
                    if found:
                        return found
        return None


def differs(op: QOp, what: str, c: Array, oracle: Array) -> Difference | None:
    """The first element of ``c`` that is not the oracle's, both of any shape."""
    left, right = np.ravel(c).astype(np.int64), np.ravel(oracle)
    at = int(np.argmax(left != right))
    return Difference(op, what, at, int(left[at]), int(right[at])) if left[at] != right[at] else None


class _Trace:
    """The package built for this machine with its looks; a call returns what was seen, by number, in order."""

    def __init__(self, program: Program, files: Mapping[str, str], folder: Path) -> None:
        self.program, source = program, f"{program.name}.c"
        text = looked_at(program, files[source], visible(program))
        write_files(folder, {**files, source: text, "trace.c": _trace(program)})
        build(folder, folder / "trace.so", [source, "trace.c"], "-shared", "-fPIC")
        self._c = ctypes.CDLL(str(folder / "trace.so"))
        self._c.rnnc_trace_seen.restype = ctypes.POINTER(ctypes.c_uint8)
        self._c.rnnc_trace_reset()

    def step(self, frame: Mapping[str, Array]) -> dict[int, list[bytes]]:
        """One frame ``[1, 1, *shape]`` of each input, in integers."""
        given = [np.ascontiguousarray(frame[p.name].astype(dtype(p.format))) for p in self.program.inputs]
        return self._seen(self._c.rnnc_trace_step(*(ctypes.c_void_p(x.ctypes.data) for x in given)))

    def flush(self) -> dict[int, list[bytes]]:
        """All that comes after the last frame."""
        return self._seen(self._c.rnnc_trace_flush())

    def _seen(self, used: int) -> dict[int, list[bytes]]:
        data, at = bytes(self._c.rnnc_trace_seen()[:used]), 0
        sizes, found = _sizes(self.program), dict[int, list[bytes]]()
        while at < used:
            number = int.from_bytes(data[at : at + NUMBER_BYTES], sys.byteorder)
            at += NUMBER_BYTES
            found.setdefault(number, []).append(data[at : at + sizes[number]])
            at += sizes[number]
        return found


def dtype(form: Format) -> np.dtype[np.generic]:
    """The NumPy type of a C array of a format."""
    return np.dtype(form.ctype.removesuffix("_t"))


def _sizes(program: Program) -> list[int]:
    """Bytes of each look: values, then members of the struct."""
    q = program.qnet
    values = [q.values[p.value].size * dtype(q.formats[p.value]).itemsize for p in visible(program)]
    return [*values, *(m.bytes for m in program.members), 0]


def _trace(program: Program) -> str:
    n = program.name
    now = ", ".join(f"now{k}" for k, _ in enumerate(program.outputs))
    given = ", ".join(f"in{k}" for k, _ in enumerate(program.inputs))
    ticks = program.drain_steps + 2
    return TRACE.format(
        name=n,
        look=LOOK,
        room=ticks * (sum(_sizes(program)) + NUMBER_BYTES * len(_sizes(program))),
        buffers="\n".join(f"static {p.format.ctype} now{k}[{p.size}];" for k, p in enumerate(program.outputs)),
        parameters=", ".join(f"const {p.format.ctype} *in{k}" for k, p in enumerate(program.inputs)),
        step=f"(void){n}_step(&s, {given}, {now})",
        flush=f"while ({n}_flush(&s, {now}) != 0) {{ }}" if program.flush else "",
    )
