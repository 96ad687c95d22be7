"""The C of windows that overlap: what a call of step does to those that are under way."""

from __future__ import annotations

from collections.abc import Sequence

from rnnc.backend.emit.expressions import size_of
from rnnc.backend.program import Overlap, Program


def window_call(program: Program, window: str, inputs: Sequence[str]) -> str:
    """A call that takes a frame of one window; it is 1 where the window ends, and has answered."""
    arguments = ["s", window, *inputs, *(p.c_name for p in program.outputs)]
    return f"{program.name}_window({', '.join(arguments)})"


def step_lines(program: Program, overlap: Overlap) -> list[str]:
    """The body of NAME_step."""
    return _kept_frames(program, overlap) if overlap.rings else _side_by_side(program, overlap)


def _side_by_side(program: Program, overlap: Overlap) -> list[str]:
    """Every window that is under way takes the frame; one that ends comes last, so that its answer stays."""
    assert program.frames is not None
    n, frames = program.name, program.frames.c_name
    inputs = [p.c_name for p in program.inputs]
    return [
        f"{n}_window_t *last = 0;",
        "int k;",
        f"for (k = 0; k < {overlap.lanes}; k++) {{",
        f"    {n}_window_t *w = &s->w[k];",
        *(f"    {line}" for line in _given_up(program, overlap, "w->", "w")),
        "    if (rnnc_count_down(&w->wait) != 0) {",
        "        continue;",
        "    }",
        f"    if (w->{frames} + 1 >= {overlap.window}) {{",
        "        last = w;",
        "    } else {",
        f"        (void){window_call(program, 'w', inputs)};",
        "    }",
        "}",
        f"if (!last || !{window_call(program, 'last', inputs)}) {{",
        "    return 0;",
        "}",
        "return 1;",
    ]


def _kept_frames(program: Program, overlap: Overlap) -> list[str]:
    """The frame is kept, and the window whose answer is next goes on by its share of steps."""
    assert program.frames is not None
    frames = f"s->w[0].{program.frames.c_name}"
    end, hop, window = overlap.frames, overlap.hop, overlap.window
    kept = [f"&s->{r.c_name}[{_offset('read', r.port.size)}]" for r in overlap.rings]
    lines = ["int32_t due;", "int wrote = 0;"]
    for r in overlap.rings:
        size = size_of(r.port.size, r.port.format.ctype)
        lines.append(f"(void)memcpy(&s->{r.c_name}[{_offset('at', r.port.size)}], {r.port.c_name}, {size});")
    return [
        *lines,
        *_given_up(program, overlap, "s->w[0].", "&s->w[0]"),
        f"s->at = (uint16_t)(s->at + 1 < {end} ? s->at + 1 : 0);",
        "s->left--;",
        f"if (s->left >= {hop}) {{",
        "    return 0;",
        "}",
        f"/* of its {window} frames, so many are to be taken by now: at most {overlap.steps} more than before */",
        f"due = {window} - (int32_t)s->left * {overlap.steps};",
        f"due = due > {hop} - s->left ? due : {hop} - s->left;",
        f"for (due -= {frames}; due > 0 && !wrote; due--) {{",
        f"    wrote = {window_call(program, '&s->w[0]', kept)};",
        f"    s->read = (uint16_t)(s->read + 1 < {end} ? s->read + 1 : 0);",
        "}",
        "if (s->left == 0) { /* the next window begins one frame further on in the ring */",
        f"    s->read = (uint16_t)(s->read + 1 < {end} ? s->read + 1 : 0);",
        f"    s->left = {hop};",
        "}",
        "return wrote;",
    ]


def _given_up(program: Program, overlap: Overlap, member: str, window: str) -> list[str]:
    """A window that has ended starts anew with the next frame, whatever is left of its answer."""
    if not program.continues:
        return []
    assert program.frames is not None
    return [
        f"if ({member}{program.frames.c_name} >= {overlap.window}) {{ /* what is left of an answer is given up */",
        f"    {program.name}_start({window});",
        "}",
    ]


def pending_lines(program: Program, overlap: Overlap) -> list[str]:
    """The head of NAME_next: the window whose answer is left to it, of which there is one at most."""
    assert program.frames is not None
    if overlap.lanes == 1:
        return [f"{program.name}_window_t *w = &s->w[0];"]
    return [
        f"{program.name}_window_t *w;",
        "int k = 0;",
        f"while (k < {overlap.lanes - 1} && s->w[k].{program.frames.c_name} < {overlap.window}) {{",
        "    k++;",
        "}",
        "w = &s->w[k];",
    ]


def idle_lines(overlap: Overlap) -> list[str]:
    """What a window that starts anew waits for, where its states are not needed at once."""
    return [] if overlap.rings or not overlap.idle else [f"w->wait = {overlap.idle};"]


def _offset(counter: str, size: int) -> str:
    return f"(size_t)s->{counter} * {size}" if size > 1 else f"s->{counter}"


def reset_lines(program: Program, overlap: Overlap) -> list[str]:
    """What NAME_reset does when all is zero."""
    n = program.name
    if overlap.rings:
        return [f"{n}_start(&s->w[0]);", f"s->left = {overlap.window};"]
    return [
        "int k;",
        f"for (k = 0; k < {overlap.lanes}; k++) {{",
        f"    {n}_start(&s->w[k]);",
        f"    s->w[k].wait = (uint16_t)((uint16_t)k * {overlap.hop}u);",
        "}",
    ]


def clamp_lines(overlap: Overlap) -> list[str]:
    """Keep restored counters within what step assumes."""
    if not overlap.rings:
        return []
    end = overlap.frames - 1
    lines = [f"s->{c} = (uint16_t)(s->{c} > {end} ? {end} : s->{c});" for c in ("at", "read")]
    return [*lines, f"s->left = (uint16_t)(s->left < 1 || s->left > {overlap.window} ? {overlap.window} : s->left);"]
