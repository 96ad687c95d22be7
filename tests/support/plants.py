"""Faults planted in the C of a package."""

from __future__ import annotations

from rnnc.backend.program import Place, Program

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


def planted(program: Program, files: dict[str, str], place: Place, element: int, tick: int = TICK) -> dict[str, str]:
    """The package with the last bit of one element of a value flipped, from its tick-th tick on."""
    name = f"{program.name}.c"
    own = [c for region in program.regions for c in region.calls if c.op == place.op]
    call = next((c for c in reversed(own) if place.address in c.args), own[-1])
    text = f"{call.function}({', '.join(call.args)});"
    assert files[name].count(text) == 1
    look = f"planted(({program.qnet.formats[place.value].ctype} *)({place.address}))"
    guarded = f"({place.guard}) ? {look} : (void)0" if place.guard else look
    around = f"#define {call.function}(...) ({call.function}(__VA_ARGS__), {guarded})\n{text}\n#undef {call.function}"
    plant = PLANT.format(ctype=program.qnet.formats[place.value].ctype, tick=tick, element=element, bit=1)
    return {**files, name: plant + files[name].replace(text, around)}
