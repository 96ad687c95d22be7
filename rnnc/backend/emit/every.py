"""One package for all cores: each packing in a folder of its own, from which the compiler's macros choose.

NAME.h and NAME.c only choose; what they include is what the package of that target alone has, so that the bits, the flash and
the RAM are the same. All else is common.
"""

from __future__ import annotations

from collections.abc import Mapping

from rnnc.backend.emit import Banner, Golden, banner_text, emit, kernels, plain, render
from rnnc.backend.emit.usage import usage
from rnnc.backend.lower import lower
from rnnc.backend.program import Program
from rnnc.errors import Refused
from rnnc.qnet import QNet

PACKINGS = {
    "avr": "RNNC_CORE_AVR",
    "rv32imc": "RNNC_CORE_RV32IM",
    "xtensa": "RNNC_CORE_XTENSA",
    "host": "RNNC_CORE_X86",
    "aarch64": "RNNC_CORE_AARCH64",
    "cortex-m55": "RNNC_CORE_MVE",
    "cortex-m4": "RNNC_CORE_DSP",
    "cortex-m3": "RNNC_CORE_THUMB2",
    "cortex-m0": "RNNC_CORE_THUMB",
}
"""The macro of runtime_c/isa/core.h that chooses each; M7 and M33 have the M4's, every other core takes portable C."""
PORTABLE = "portable"


Packings = Mapping[str, Program | str]
"""What each target's C says, or why that target's cannot be."""


def packings(program: Program) -> Packings:
    """The program of ``targets.ALL`` for each target."""
    return {target: _lowered(program.qnet, target, program.name) for target in (*PACKINGS, PORTABLE)}


def left_out(every: Packings) -> list[str]:
    """What to know of targets whose packing the package does not hold."""
    return [f"the package holds no {target}: {why}" for target, why in every.items() if isinstance(why, str)]


def emit_every(program: Program, every: Packings, golden: Golden, banner: Banner) -> dict[str, str]:
    """As ``emit``, of the program of ``targets.ALL``."""
    n = program.name
    files = emit(program, golden, banner)
    for target, packed in every.items():
        if isinstance(packed, Program):
            own = emit(packed, golden, banner)
            files |= {name: text for name, text in own.items() if "/" in name}
            files[f"{target}/{n}.h"] = own[f"{n}.h"]
            files[f"{target}/{n}_code.h"] = own[f"{n}.c"].replace('#include "rnnc/', '#include "../rnnc/')
    head = {"banner": banner_text(program, banner), "usage": usage(program)}
    files[f"{n}.h"] = render("every.h.j2", **head, choices=_choices(every, f"{n}.h"))
    files[f"{n}.c"] = render("every.c.j2", **head, choices=_choices(every, f"{n}_code.h"))
    return files | kernels("".join(files.values()))


def _choices(every: Packings, file: str) -> list[str]:
    """Lines of the preprocessor."""
    lines: list[str] = []
    for target, macro in PACKINGS.items():
        packed = every[target]
        lines.append(f"#{'elif' if lines else 'if'} defined({macro})")
        said = plain(packed).replace('"', "'") if isinstance(packed, str) else ""
        lines.append(f'#error "rnnc: {said}"' if said else f'#include "{target}/{file}"')
    return [*lines, "#else", f'#include "{PORTABLE}/{file}"', "#endif"]


def _lowered(qnet: QNet, target: str, name: str) -> Program | str:
    try:
        return lower(qnet, target, name)
    except Refused as error:
        return error.what
