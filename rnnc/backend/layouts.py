"""How the files of a package lie on disk, so that a build system takes them as they are.

``plain`` is one flat folder. In all others the C is in ``src/``; a README, the licence and files of the build system stand
beside it, each made from a template in templates/packages. What ``baremetal`` adds is of a board: rnnc.verification.baremetal.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, get_args

import rnnc
from rnnc.backend.emit import render
from rnnc.backend.emit.usage import usage
from rnnc.backend.program import Program
from rnnc.errors import UsageError
from rnnc.options import Layout

LAYOUTS: dict[Layout, tuple[str, ...]] = {
    "plain": (),
    "arduino": ("library.properties", "keywords.txt", "examples/{name}_selftest/{name}_selftest.ino"),
    "zephyr": ("zephyr/module.yml", "CMakeLists.txt", "Kconfig"),
    "esp-idf": ("CMakeLists.txt", "idf_component.yml"),
    "cmake": ("CMakeLists.txt",),
    "platformio": ("library.json",),
    "baremetal": (),
}
"""The files that each adds; the template is named as the last part of the path, without "{name}_", and .j2."""
ANY = ("README.md", "LICENSE")
"""What all of these add."""


def arrange(layout: Layout, program: Program, files: Mapping[str, str], model: str, version: str) -> dict[str, str]:
    """The files of a package, ``plain`` names given, as ``layout`` wants them.

    Args:
        model: the model's file name, for descriptions.
        version: of the package.

    Raises UsageError where there is no such layout.
    """
    if layout not in LAYOUTS:
        raise UsageError(f"--package {layout}: no such layout", hint=f"One of: {', '.join(get_args(Layout))}.")
    if layout == "plain":
        return dict(files)
    placed = {f"src/{name}" if name.endswith((".c", ".h")) else name: text for name, text in files.items()}
    context = _context(program, model, version)
    paths = [*((path, "any") for path in ANY), *((path, layout) for path in LAYOUTS[layout])]
    for path, folder in paths:
        template = path.rsplit("/", 1)[-1].replace("{name}_", "")
        placed[path.format(name=program.name)] = render(f"packages/{folder}/{template}.j2", **context)
    return placed


def _context(program: Program, model: str, version: str) -> dict[str, Any]:
    n, c = program.name, program.cost
    plain = "".join(ch if ch.isalnum() or ch in " ._-+()" else "_" for ch in model)  # no quotes: YAML, JSON, Kconfig
    summary = f"{n}: one time step of {plain} in integers"
    cost = (
        f"{c.flash_weights + c.flash_tables} B of constants and the code, {c.ram_state + c.ram_scratch} B of RAM a stream, "
        f"{c.macs} multiply-accumulates a step"
    )
    return {
        "name": n,
        "upper": n.upper(),
        "library": f"rnnc_{n}"
        if n.startswith("arduino")
        else n,  # of other people's libraries Arduino takes no such name
        "version": version,
        "generator": rnnc.__version__,
        "summary": summary,
        "cost": cost,
        "keywords": [
            f"{n}_{word}" for word in ("reset", "step", "save", "restore", *(["flush"] if program.flush else []))
        ],
        "constants": [f"{n}_{p.c_name}_LEN".upper() for p in (*program.inputs, *program.outputs)],
        "usage": usage(program),
    }
