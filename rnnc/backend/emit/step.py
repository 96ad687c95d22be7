"""The functions of a package that take frames: step, and flush or the end of a window where there are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from rnnc.backend.emit.expressions import for_each
from rnnc.backend.emit.hop import idle_lines, pending_lines, step_lines
from rnnc.backend.emit.spelling import guard_lines, initializer, owner, region_lines, wrote
from rnnc.backend.places import PoolPlace, StatePlace
from rnnc.backend.program import FoldedKernel, Member, Port, Program


@dataclass(frozen=True)
class CFunction:
    """A C function: its head and the lines of its body."""

    head: str
    lines: tuple[str, ...]


def step_functions(program: Program) -> list[CFunction]:
    """All of them, in an order in which each is defined before it is called."""
    if not program.live and not program.window:
        result = [f"return {wrote(program)};"] if program.returns else []
        return [CFunction(step_head(program), (*_work(program), *result))]
    tick = CFunction(_tick_head(program), (*_work(program), f"return {wrote(program)};"))
    if program.overlap:
        step = CFunction(step_head(program), tuple(step_lines(program, program.overlap)))
        functions = [tick, _window_step(program, _window_head(program)), step]
    elif program.window:
        functions = [tick, _window_step(program, step_head(program))]
    else:
        functions = [tick, _stream_step(program), _flush(program)]
    return [*functions, *([_next(program)] if program.continues else [])]


def folded_function(folded: FoldedKernel) -> CFunction:
    """A kernel of which a call, or all that share the function, has the numbers q, and each its own arrays in p."""
    fields = [f".{n} = {f'p->{n}' if value is None else initializer(value)}," for n, value in folded.fields]
    lines = (
        f"const {folded.struct} q = {{ /* {', '.join(folded.ops)} */",
        *(f"    {field}" for field in fields),
        "};",
        *(["(void)p;"] if all(value is not None for _, value in folded.fields) else []),
        f"{folded.function}({', '.join(('&q', *folded.arguments))});",
    )
    return CFunction(f"static RNNC_APART void {folded.symbol}(const {folded.struct} *p, {folded.parameters})", lines)


def step_head(program: Program) -> str:
    """The prototype of NAME_step."""
    args = [f"{program.name}_t *s"]
    args += [_parameter(program, p, const=True) for p in program.inputs]
    args += [_parameter(program, p) for p in program.outputs]
    return f"{'int' if program.returns else 'void'} {program.name}_step({', '.join(args)})"


def flush_head(program: Program) -> str:
    """The prototype of NAME_flush."""
    args = [f"{program.name}_t *s", *(_parameter(program, p) for p in program.outputs)]
    return f"int {program.name}_flush({', '.join(args)})"


def next_head(program: Program) -> str:
    """The prototype of NAME_next."""
    args = [f"{program.name}_t *s"]
    args += [f"{p.format.ctype} {p.c_name}[{_length(program, p)} / {p.ticks}]" for p in program.outputs]
    return f"int {program.name}_next({', '.join(args)})"


def _length(program: Program, port: Port) -> str:
    return f"{program.name}_{port.c_name}_LEN".upper()


def _parameter(program: Program, port: Port, const: bool = False) -> str:
    return f"{'const ' if const else ''}{port.format.ctype} {port.c_name}[{_length(program, port)}]"


def _work(program: Program) -> list[str]:
    """What a step computes: its guards, then region by region."""
    regions = [line for region in program.regions for line in region_lines(program, region)]
    return [*(f"(void){name};" for name in _unused(program)), *guard_lines(program), *regions]


def _unused(program: Program) -> list[str]:
    """The pointers that a step is given and does not read."""
    states = bool(program.guards) or any(isinstance(p, StatePlace) for p in program.touched)
    used = {owner(program)} if states else set()
    used |= {"s"} if any(isinstance(p, PoolPlace) for p in program.touched) else set()
    return [name for name in ("w", "s") if name not in used and (name == "s" or program.overlap)]


# --------------------------------------------------------------------------- what goes on past the end of the input


def _owners(program: Program) -> list[str]:
    """The parameters of a function that computes a step: the struct, and the window that it is about."""
    return [f"{program.name}_t *s", *([f"{program.name}_window_t *w"] if program.overlap else [])]


def _tick_head(program: Program) -> str:
    args = _owners(program)
    args += [f"int {program.live.c_name}"] if program.live else []
    args += [f"const {p.format.ctype} *{p.c_name}" for p in program.inputs]
    args += [f"{p.format.ctype} *{p.c_name}" for p in program.outputs]
    return f"static int {program.name}_tick({', '.join(args)})"


def _tick(program: Program, live: bool, outputs: Sequence[str] = ()) -> str:
    """A call of tick, with a frame or past the last one."""
    args = ["s", *(["w"] if program.overlap else []), *([str(int(live))] if program.live else [])]
    args += [p.c_name if live else "NULL" for p in program.inputs]
    args += outputs or [p.c_name for p in program.outputs]
    return f"{program.name}_tick({', '.join(args)})"


def _stream_step(program: Program) -> CFunction:
    call = _tick(program, live=True)
    return CFunction(step_head(program), (f"return {call};" if program.returns else f"(void){call};",))


def _flush(program: Program) -> CFunction:
    assert program.flush is not None
    lines = [
        f"while (rnnc_count_down(&s->{program.flush.c_name}) != 0) {{",
        f"    const int wrote = {_tick(program, live=False)};",
        "    if (wrote != 0) {",
        "        return wrote;",
        "    }",
        "}",
        "return 0;",
    ]
    return CFunction(flush_head(program), tuple(lines))


def _window_head(program: Program) -> str:
    args = _owners(program)
    args += [f"const {p.format.ctype} *{p.c_name}" for p in program.inputs]
    args += [f"{p.format.ctype} *{p.c_name}" for p in program.outputs]
    return f"static int {program.name}_window({', '.join(args)})"


def start_of_window(program: Program) -> CFunction:
    """What starts a window anew, where each window has states of its own."""
    assert program.overlap is not None
    lines = ["(void)memset(w, 0, sizeof *w);", *initial_lines(program), *idle_lines(program.overlap)]
    return CFunction(f"static void {program.name}_start({program.name}_window_t *w)", tuple(lines))


def initial_lines(program: Program) -> list[str]:
    """Set all states and counters that do not start at zero."""
    at = owner(program)
    lines = [line for m in program.members for line in _initial(m, at)]
    return lines + [f"{at}->{c.c_name} = {c.initial};" for c in program.counters if c.initial]


def _initial(member: Member, at: str) -> list[str]:
    values = member.state.initial.ravel()
    if values.size > 1 and values[0] and np.all(values == values[0]):
        return [for_each(values.size, f"{at}->{member.c_name}[i] = {int(values[0])};")]
    return [f"{at}->{member.c_name}[{i}] = {int(v)};" for i, v in enumerate(values) if v]


def _window_step(program: Program, head: str) -> CFunction:
    """Takes a frame of a window; the last one goes on to its end, answers, and starts anew."""
    assert program.frames is not None
    frames = f"{owner(program)}->{program.frames.c_name}"
    several = [p for p in program.outputs if p.ticks]
    lines = ["uint16_t k;"] if program.drain_steps else []
    lines += _counts(program, several)
    if program.continues and not program.overlap:
        lines += [f"if ({frames} >= {program.window}) {{ /* what is left of an answer is given up */"]
        lines += [f"    {program.name}_reset(s);", "}"]
    lines += [f"(void){_tick(program, live=True)};"]
    lines += [f"{frames}++;", f"if ({frames} < {program.window}) {{", "    return 0;", "}"]
    if program.continues:
        later = " || ".join(f"!{p.c_name}" for p in program.outputs)
        lines += [f"if ({later}) {{", "    return 1;", "}"]
    if program.drain_steps:
        lines += [f"for (k = 0; k < {program.drain_steps}; k++) {{"]
        lines += [*(f"    {line}" for line in _past_the_end(program, several)), "}"]
    lines += [_anew(program), "return 1;"]
    return CFunction(head, tuple(lines))


def _next(program: Program) -> CFunction:
    """A step past the last frame of a window, if the answer is left to it: until it writes the next value of each output."""
    assert program.frames is not None
    frames = f"{owner(program)}->{program.frames.c_name}"
    lines = [
        *(pending_lines(program, program.overlap) if program.overlap else []),
        f"if ({frames} < {program.window}) {{",
        "    return 0;",
        "}",
        f"while ({frames} < {program.window + program.drain_steps}) {{",
        f"    {frames}++;",
        f"    if ({_tick(program, live=False, outputs=[p.c_name for p in program.outputs])} != 0) {{",
        "        return 1;",
        "    }",
        "}",
        _anew(program),
        "return 0;",
    ]
    return CFunction(next_head(program), tuple(lines))


def _anew(program: Program) -> str:
    """C that starts a window anew, after its answer."""
    return f"{program.name}_start(w);" if program.overlap else f"{program.name}_reset(s);"


def _counts(program: Program, several: Sequence[Port]) -> list[str]:
    """How many values each output of several has given so far: one count where they come together."""
    if not several:
        return []
    return [f"int count[{len(several)}] = {{0}};", "int wrote;"] if program.apart_in_window else ["int count = 0;"]


def _past_the_end(program: Program, several: Sequence[Port]) -> list[str]:
    """A tick past the last frame of a window; of outputs of several values each goes to its own place."""
    counts = {p.name: f"count[{i}]" if program.apart_in_window else "count" for i, p in enumerate(several)}
    at = [f"{p.c_name} + {counts[p.name]} * {p.size // p.ticks}" if p.ticks else p.c_name for p in program.outputs]
    call = _tick(program, live=False, outputs=at)
    if program.apart_in_window:
        return [f"wrote = {call};", *(f"count[{i}] += (wrote >> {i}) & 1;" for i in range(len(several)))]
    return [f"count += {call} != 0;" if several else f"(void){call};"]
