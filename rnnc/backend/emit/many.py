"""NAME_step_many: a step of each of many streams, over one pass of the weights for every RNNC_MANY of them.

Layers that multiply rows by a vector are computed for all streams at once, each row of weights read once; the work between
them is done stream by stream. Streams may be at different steps of a clock: a layer is computed for those where it is due.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from textwrap import wrap

import rnnc.ops  # noqa: F401  the ops that have kernels for several streams
from rnnc.backend.emit.spelling import condition, guard_lines, place_text, region_lines, wrote
from rnnc.backend.emit.step import CFunction
from rnnc.backend.fusion import fused
from rnnc.backend.guards import Always
from rnnc.backend.places import ActivationCode
from rnnc.backend.program import Call, Copy, Port, Program, Region
from rnnc.backend.sparse import without_zeros
from rnnc.ops.units import QRecurrent

DENSE = {"rnnc_dense": "NARROW", "rnnc_dense_wide": "WIDE", "rnnc_dense_sparse": "SPARSE"}
"""Kernels of Dense by the form of their rows."""


def many_head(program: Program) -> str:
    """The prototype of NAME_step_many."""
    args = [f"{program.name}_t s[]", "size_t n"]
    args += [f"const {p.format.ctype} {p.c_name}[]" for p in program.inputs]
    args += [f"{p.format.ctype} {p.c_name}[]" for p in program.outputs]
    args += ["int wrote[]"] if program.returns else []
    return f"void {program.name}_step_many({', '.join(args)})"


def many_comment(program: Program) -> str:
    """What stands above it in the header."""
    ports = [f"{p.c_name} [n][{f'{program.name}_{p.c_name}'.upper()}_LEN]" for p in (*program.inputs, *program.outputs)]
    text = (
        f"Takes a frame of each of n streams as {program.name}_step does, with the same bits. Weights are read once for every "
        f"16 streams, which gains time where there are many: on a server, say. {', '.join(ports)}"
    )
    text += f"; wrote [n]: what {program.name}_step returns for each." if program.returns else "."
    return "\n * ".join(wrap(text, 120))


@dataclass(frozen=True, eq=False)
class Layer:
    """A call that is made for several streams at once, by a function ``symbol`` of C ``source``; all have ``index``."""

    call: Call
    region: Region
    symbol: str
    source: str
    index: int


def many_context(program: Program) -> dict[str, object]:
    """What the templates of header and source take."""
    if not program.many:
        return {"many_prototype": "", "many_comment": "", "many_headers": [], "many_kernels": [], "many_functions": []}
    many = _Many(program)
    return {
        "many_prototype": many_head(program),
        "many_comment": many_comment(program),
        "many_headers": ["many.h", *(["dense_many.h"] if any(c.function in many.dense for c in program.calls) else [])],
        "many_kernels": [layer.source for layer in many.layers],
        "many_functions": many.functions(),
    }


@dataclass(frozen=True, eq=False)
class _Many:
    program: Program

    @cached_property
    def dense(self) -> dict[str, str]:
        """The form of the rows of each function of Dense, those of folded calls among them."""
        folded = {f.symbol: DENSE[f.function] for f in self.program.folded if f.function in DENSE}
        return DENSE | folded

    @cached_property
    def pieces(self) -> list[Layer | list[tuple[Region, list[Call | Copy]]]]:
        """The work of a step in order: layers for all streams, and what is between them."""
        t = self.program.target
        ops = {op.name: op for op in without_zeros(fused(self.program.qnet, vectors=t.vectors), t.sparse).ops}
        found: list[Layer | list[tuple[Region, list[Call | Copy]]]] = []
        earlier: dict[str, int] = {}
        layers = 0
        for region in self.program.regions:
            for work in region.work:
                source = ""
                if isinstance(work, Call):
                    op, i = ops.get(work.op), earlier.get(work.op, 0)
                    earlier[work.op] = i + 1
                    if isinstance(op, QRecurrent) and not work.times:
                        source = op.many(i, work.function)
                    elif work.function in self.dense and not work.times:
                        source = self._dense(work)
                    if source:
                        symbol = f"{self.program.name}_{work.op}_many{layers or ''}_"
                        found.append(Layer(work, region, symbol, source.replace("@", symbol), layers))
                        layers += 1
                        continue
                if not found or isinstance(found[-1], Layer):
                    found.append([])
                between = found[-1]
                assert isinstance(between, list)
                if not between or between[-1][0] is not region:
                    between.append((region, []))
                between[-1][1].append(work)
        return found

    @property
    def layers(self) -> list[Layer]:
        return [piece for piece in self.pieces if isinstance(piece, Layer)]

    def _dense(self, call: Call) -> str:
        head = "static void @(const rnnc_dense_params *p, size_t n, void *const at[][RNNC_MANY])"
        return f"{head}\n{{\n    rnnc_dense_rows_many(p, n, at, RNNC_DENSE_{self.dense[call.function]});\n}}"

    # ----------------------------------------------------------------------- functions

    def functions(self) -> list[CFunction]:
        """Those of the parts, of a batch of streams, and NAME_step_many."""
        parts = [self._guards()] if self._counts else []
        for i, piece in enumerate(self.pieces):
            parts.append(self._gather(piece) if isinstance(piece, Layer) else self._between(i, piece))
        return [*parts, self._batch(), self._all()]

    @property
    def _counts(self) -> bool:
        """Whether a step looks first at what is due."""
        return bool(self._guarded) or self.program.returns

    @property
    def _guarded(self) -> list[str]:
        """The variables of guards."""
        live = [self.program.live.c_name] if self.program.live else []
        return [*live, *(g.c_name for g in self.program.guards)]

    @property
    def _parameters(self) -> list[str]:
        """Of a function for one stream: the stream, its inputs and outputs, its guards."""
        p = self.program
        return [
            f"{p.name}_t *s",
            *(f"const {i.format.ctype} *{i.c_name}" for i in p.inputs),
            *(f"{o.format.ctype} *{o.c_name}" for o in p.outputs),
            *(["const int *guards"] if self._guarded else []),
        ]

    @property
    def _given(self) -> list[str]:
        """The same of stream k."""
        ports = (*self.program.inputs, *self.program.outputs)
        at = [f"&{p.c_name}[k * {self._length(p)}]" for p in ports]
        return ["&s[k]", *at, *(["guards[k]"] if self._guarded else [])]

    def _length(self, port: Port) -> str:
        return f"{self.program.name}_{port.c_name}_LEN".upper()

    def _known(self, lines: Sequence[str]) -> list[str]:
        """The guards that lines read, and a void for each parameter that they do not."""
        text = "\n".join(lines)
        names = [line.rpartition("*")[2] for line in self._parameters]
        own = [name for name in self._guarded if _names(name, text)]
        read = [f"const int {name} = guards[{self._guarded.index(name)}];" for name in own]
        unused = [name for name in names if not _names(name, text) and not (name == "guards" and own)]
        return [*read, *(f"(void){name};" for name in unused)]

    def _guards(self) -> CFunction:
        """What is due in a step of a stream."""
        p = self.program
        lines = [f"const int {p.live.c_name} = 1;"] if p.live else []
        lines += guard_lines(p)
        lines += [f"guards[{i}] = {name};" for i, name in enumerate(self._guarded)]
        returned = [f"return {wrote(p)};"] if p.returns else ["return 1;"]
        lines = [*([] if p.guards else ["(void)s;"]), *lines, *returned]
        arguments = f"{p.name}_t *s{', int *guards' if self._guarded else ''}"
        return CFunction(f"static int {p.name}_many_due_({arguments})", tuple(lines))

    def _between(self, i: int, work: list[tuple[Region, list[Call | Copy]]]) -> CFunction:
        """What a stream does between two layers."""
        lines = [line for region, own in work for line in region_lines(self.program, Region(region.guard, tuple(own)))]
        head = f"static void {self.program.name}_many_part{i}_({', '.join(self._parameters)})"
        return CFunction(head, (*self._known(lines), *lines))

    def _gather(self, layer: Layer) -> CFunction:
        """Adds the arguments of a layer for a stream, where it is due."""
        guard = layer.region.guard
        arguments = [a for a in layer.call.args if not isinstance(a, ActivationCode)]
        lines = [f"at[{i}][n] = (void *)({place_text(self.program, a)});" for i, a in enumerate(arguments)]
        if not isinstance(guard, Always):
            lines = [f"if ({condition(guard)} == 0) {{", "    return n;", "}", *lines]
        head = ", ".join([*self._parameters, "void *(*at)[RNNC_MANY]", "size_t n"])
        name = f"{self.program.name}_many_for{layer.index}_"
        return CFunction(f"static size_t {name}({head})", (*self._known(lines), *lines, "return n + 1;"))

    def _batch(self) -> CFunction:
        """A step of at most RNNC_MANY streams."""
        p = self.program
        most = max((len(layer.call.args) for layer in self.layers), default=0)
        lines = [f"void *at[{most}][RNNC_MANY];"] if most else []
        lines += [f"int guards[RNNC_MANY][{len(self._guarded)}];"] if self._guarded else []
        lines += ["size_t k;", *(["size_t m;"] if most else [])]
        if self._counts:
            call = f"{p.name}_many_due_(&s[k]{', guards[k]' if self._guarded else ''});"
            lines += _each(f"wrote[k] = {call}" if p.returns else f"(void){call}")
        for i, piece in enumerate(self.pieces):
            lines += self._piece(i, piece)
        return CFunction(f"static void {p.name}_many_(" + many_head(p).partition("(")[2], tuple(lines))

    def _piece(self, i: int, piece: Layer | list[tuple[Region, list[Call | Copy]]]) -> Iterator[str]:
        p, given = self.program, ", ".join(self._given)
        if not isinstance(piece, Layer):
            yield from _each(f"{p.name}_many_part{i}_({given});")
            return
        params = piece.call.params
        assert params is not None
        more = [f"RNNC_{a.activation.upper()}" for a in piece.call.args if isinstance(a, ActivationCode)]
        yield "m = 0;"
        yield from _each(f"m = {p.name}_many_for{piece.index}_({given}, at, m);")
        arguments = [f"RNNC_PARAMS({params.ctype}, {params.symbol})", "m", "(void *const(*)[RNNC_MANY])at", *more]
        yield f"{piece.symbol}({', '.join(arguments)});"

    def _all(self) -> CFunction:
        p = self.program
        ports = [f"{port.c_name} += RNNC_MANY * {self._length(port)}" for port in (*p.inputs, *p.outputs)]
        moves = ["n -= RNNC_MANY", "s += RNNC_MANY", *ports, *(["wrote += RNNC_MANY"] if p.returns else [])]
        rest = [port.c_name for port in (*p.inputs, *p.outputs)] + (["wrote"] if p.returns else [])
        lines = [
            f"for (; n > RNNC_MANY; {', '.join(moves)}) {{",
            f"    {p.name}_many_({', '.join(['s', 'RNNC_MANY', *rest])});",
            "}",
            f"{p.name}_many_({', '.join(['s', 'n', *rest])});",
        ]
        return CFunction(many_head(p), tuple(lines))


def _each(statement: str) -> list[str]:
    return ["for (k = 0; k < n; k++) {", f"    {statement}", "}"]


def _names(name: str, text: str) -> bool:
    """Whether lines of C read a variable."""
    return bool(re.search(rf"(?<![\w>.]){re.escape(name)}\b", text))
