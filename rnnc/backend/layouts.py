"""How the files of a package lie on disk, so that a build system takes them as they are.

``plain`` is one flat folder. In all others the C is in ``src/``; a README, the licence and files of the build system stand
beside it, each made from a template in templates/packages. What ``baremetal``, ``blob`` and
``wasm`` add is of a machine: rnnc.verification.baremetal, rnnc.verification.blob, rnnc.verification.wasm.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, get_args

import rnnc
from rnnc.backend.emit import HEADER_AND_CRC, render
from rnnc.backend.emit.cmsis_pack import cmsis_context, pack_file, pack_name
from rnnc.backend.emit.micropython import micropython_context
from rnnc.backend.emit.numbers import port_numbers
from rnnc.backend.emit.rust import rust_context
from rnnc.backend.emit.serial import serving_bytes
from rnnc.backend.emit.usage import USE, usage
from rnnc.backend.identity import model_id
from rnnc.backend.program import Program
from rnnc.backend.targets import ALL
from rnnc.errors import UsageError
from rnnc.options import Layout

LAYOUTS: dict[Layout, tuple[str, ...]] = {
    "plain": (),
    "arduino": (
        *("library.properties", "keywords.txt"),
        *("examples/{name}_selftest/{name}_selftest.ino", "examples/{name}_serve/{name}_serve.ino"),
    ),
    "zephyr": (
        *("zephyr/module.yml", "CMakeLists.txt", "Kconfig"),
        *("samples/serve/CMakeLists.txt", "samples/serve/prj.conf", "samples/serve/src/main.c"),
    ),
    "esp-idf": (
        *("CMakeLists.txt", "idf_component.yml"),
        *("examples/serve/CMakeLists.txt", "examples/serve/sdkconfig.defaults"),
        *("examples/serve/main/CMakeLists.txt", "examples/serve/main/main.c"),
    ),
    "cmake": ("CMakeLists.txt",),
    "platformio": ("library.json",),
    "baremetal": ("main.c", "serve.c"),
    "blob": (),
    "wasm": ("package.json", "index.mjs", "selftest.mjs"),
    "micropython": ("Makefile", "src/module.c", "selftest.py"),
    "cmsis-pack": ("rnnc.{name}.pdsc",),
    "rust": ("Cargo.toml", "build.rs", "src/lib.rs", "src/layout.c", "tests/selftest.rs"),
}
"""The files that each adds; the template has the same path, without "{name}_", else "name" for "{name}", and .j2."""
OPTIMIZATION = "-O2"
"""The level that packages ask for: what frameworks take by themselves, -Os or -Og, is slower."""
STACK = 4096
"""Bytes of stack that the programs that serve a network ask for, beside its frames."""
ANY = ("README.md", "LICENSE")
"""What all of these add."""


@dataclass(frozen=True, eq=False)
class Contents:
    """What a package holds.

    Args:
        name: of the package; its C is NAME.c.
        programs: of one network, or of several that share their kernels.
        models: their file names, for descriptions.
        version: of the package.
        url: of its page, "" for none.
    """

    name: str
    programs: tuple[Program, ...]
    models: tuple[str, ...]
    version: str
    url: str = ""

    @property
    def sources(self) -> list[str]:
        """The C of the networks, without the self-tests."""
        return [f"{self.name}.c", *(f"{p.name}_state.c" for p in self.programs)]

    @property
    def selftests(self) -> list[str]:
        """The C of the self-tests, and of what a computer asks over a serial line."""
        return [f"{p.name}_{part}.c" for p in self.programs for part in ("selftest", "serial")]


def arrange(layout: Layout, contents: Contents, files: Mapping[str, str]) -> dict[str, str]:
    """The files of a package, ``plain`` names given, as ``layout`` wants them.

    Raises UsageError where there is no such layout.
    """
    if layout not in LAYOUTS:
        raise UsageError(f"--package {layout}: no such layout", hint=f"One of: {', '.join(get_args(Layout))}.")
    if layout == "plain":
        return dict(files)
    placed = {f"src/{name}" if name.endswith((".c", ".h")) else name: text for name, text in files.items()}
    context = _context(contents) | (OF_LAYOUT[layout](contents) if layout in OF_LAYOUT else {})
    context["use"] = USE[layout].format(**context)
    context["whole"] = _whole(layout) if any(p.continues for p in contents.programs) else ""
    paths = [*((path, "any") for path in ANY), *((path, layout) for path in LAYOUTS[layout])]
    for path, folder in paths:
        template = path.replace("{name}_", "").replace("{name}", "name")
        placed[path.format(name=contents.name)] = render(f"packages/{folder}/{template}.j2", **context)
    return placed


def _context(contents: Contents) -> dict[str, Any]:
    n, programs = contents.name, contents.programs
    headers = [f"{p.name}.h" for p in programs]
    return {
        "name": n,
        "upper": n.upper(),
        "library": f"rnnc_{n}"
        if n.startswith("arduino")
        else n,  # of other people's libraries Arduino takes no such name
        "networks": [p.name for p in programs],
        "model": _plain(contents.models[0]),
        "sources": " ".join(f"src/{file}" for file in contents.sources),
        "selftests": " ".join(f"src/{file}" for file in contents.selftests),
        "optimization": OPTIMIZATION,
        "stack": STACK + max(map(serving_bytes, programs)),
        "headers": ",".join(headers),
        "header_files": headers,
        "source_files": contents.sources,
        "pack": pack_file(contents.name, contents.version),
        "pack_name": pack_name(contents.name),
        "header_list": json.dumps(headers if len(headers) > 1 else headers[0]),
        "version": contents.version,
        "url": contents.url,
        "generator": rnnc.__version__,
        "summary": _summary(contents),
        "cost": _cost(programs),
        "keywords": [word for p in programs for word in _functions(p)],
        "constants": [f"{p.name}_{port.c_name}_LEN".upper() for p in programs for port in (*p.inputs, *p.outputs)],
        "usage": [line for p in programs for line in (*(["", ""] if p is not programs[0] else []), *usage(p))],
    }


def _whole(layout: Layout) -> str:
    """Where the values of an answer cannot be had one a call, though NAME_next gives them so."""
    serial = "over the serial line"
    return f"from this package as {serial}" if layout in ("blob", "wasm") else serial


def _summary(contents: Contents) -> str:
    return f"{contents.name}: one time step of {' and of '.join(map(_plain, contents.models))} in integers"


def _rust(contents: Contents) -> dict[str, Any]:
    """What a crate takes besides; raises UsageError where it cannot be one."""
    if len(contents.programs) > 1 or contents.programs[0].target is ALL:
        what = "several networks" if len(contents.programs) > 1 else "--target all"
        raise UsageError(f"--package rust: no crate for {what}", hint="A crate holds one network, for one target.")
    files = [*contents.sources, *contents.selftests, "layout.c"]
    return rust_context(contents.programs[0], HEADER_AND_CRC) | {"source_list": files}


def _wasm(contents: Contents) -> dict[str, Any]:
    """What a module of WebAssembly takes besides; raises UsageError for several networks."""
    program = _only(contents, "wasm", "a module holds one network")
    return {
        "model_id": f"0x{model_id(program.qnet):08x}",
        "inputs": json.dumps([port_numbers(p) for p in program.inputs]),
        "outputs": json.dumps([port_numbers(p) for p in program.outputs]),
        "apart": program.apart,
    }


def _only(contents: Contents, layout: Layout, why: str) -> Program:
    """The network of a package that holds one; raises UsageError for several."""
    if len(contents.programs) > 1:
        raise UsageError(f"--package {layout}: {why}", hint="Compile each by itself.")
    return contents.programs[0]


OF_LAYOUT: dict[Layout, Callable[[Contents], dict[str, Any]]] = {
    "rust": _rust,
    "wasm": _wasm,
    "cmsis-pack": lambda contents: cmsis_context(contents.programs),
    "micropython": lambda contents: micropython_context(_only(contents, "micropython", "a module holds one network")),
}
"""What the templates of some take besides."""


def _plain(model: str) -> str:
    """A file's name without quotes and the like, which YAML, JSON, Kconfig and comments of C take for something else."""
    return "".join(ch if ch.isalnum() or ch in " ._-+()" else "_" for ch in model)


def _cost(programs: tuple[Program, ...]) -> str:
    constants = " and ".join(str(p.cost.flash_weights + p.cost.flash_tables) for p in programs)
    ram = " and ".join(str(p.cost.ram_state + p.cost.ram_scratch) for p in programs)
    macs = " and ".join(str(p.cost.macs) for p in programs)
    return f"{constants} B of constants and the code, {ram} B of RAM a stream, {macs} multiply-accumulates a step"


def _functions(program: Program) -> list[str]:
    words = ["reset", "step", "save", "restore", *(["flush"] if program.flush else [])]
    words += ["next"] if program.continues else []
    return [f"{program.name}_{word}" for word in words]
