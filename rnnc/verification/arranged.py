"""All files of a package in a layout: those of its build system, and what the target's compiler makes of them."""

from __future__ import annotations

from collections.abc import Mapping

from rnnc.backend.emit.cmsis_pack import archive, pack_file
from rnnc.backend.layouts import Contents, arrange
from rnnc.backend.program import Program
from rnnc.options import Layout
from rnnc.verification.baremetal import IMAGE, bare_metal, firmware_image
from rnnc.verification.blob import blob_bytes, blob_sources
from rnnc.verification.emulator import why_uncounted
from rnnc.verification.wasm import wasm_files


def arranged_files(layout: Layout, contents: Contents, files: Mapping[str, str]) -> dict[str, str | bytes]:
    """The files of a package, ``plain`` names given, as a build system wants them, with the binary where there is one.

    Raises UsageError where there is no such layout, or none for the target; NoRoom; VerificationError where it does not
    build; MissingTool without what makes a module of WebAssembly.
    """
    placed = arrange(layout, contents, files)
    if layout == "baremetal":
        placed |= bare_metal(contents)
        image = firmware_image(contents, placed)
    elif layout == "blob":
        placed |= blob_sources(contents)
        image = blob_bytes(contents, placed)
    elif layout == "wasm":
        return {**placed, **wasm_files(contents, placed)}
    elif layout == "cmsis-pack":
        return {**placed, pack_file(contents.name, contents.version): archive(placed)}
    else:
        return {**placed}
    return {**placed, **({_binary(layout, contents.name): image} if image else {})}


def _binary(layout: Layout, name: str) -> str:
    return IMAGE if layout == "baremetal" else f"{name}.blob"


def image_note(layout: Layout, program: Program) -> str:
    """Why the files of a layout hold no firmware, or no blob; "" where there is nothing to say."""
    why = why_uncounted(program) if layout in ("baremetal", "blob") else ""
    return f"no {_binary(layout, program.name)} beside its sources: {why}" if why else ""
