"""Faults planted in the C of a package."""

from __future__ import annotations

from rnnc.backend.emit.spelling import address, condition, statement
from rnnc.backend.guards import Always
from rnnc.backend.program import Computed, Program

TICK = 4
PLANT = """
#include <stdint.h>
static void planted({ctype} *p)
{{
    static int tick;
    if (++tick >= {tick}) {{
        p[{element}] = ({ctype})(p[{element}] ^ {bit});
    }}
}}
"""


def planted(program: Program, files: dict[str, str], value: Computed, element: int, tick: int = TICK) -> dict[str, str]:
    """The package with the last bit of one element of a value flipped, from its tick-th tick on."""
    name = f"{program.name}.c"
    own = [c for c in program.calls if c.op == value.call]
    call = next((c for c in reversed(own) if value.place in c.args), own[-1])
    text, ctype = statement(program, call), program.qnet.formats[value.value].ctype
    assert files[name].count(text) == 1
    look = f"planted(({ctype} *)({address(program, value.place)}))"
    guarded = look if isinstance(value.guard, Always) else f"({condition(value.guard)}) ? {look} : (void)0"
    around = f"#define {call.function}(...) ({call.function}(__VA_ARGS__), {guarded})\n{text}\n#undef {call.function}"
    plant = PLANT.format(ctype=ctype, tick=tick, element=element, bit=1)
    return {**files, name: plant + files[name].replace(text, around)}
