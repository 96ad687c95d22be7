"""A CMSIS-Pack: what its description says of the cores, and the archive that tools install."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping
from typing import Any

from rnnc.backend.program import Program
from rnnc.errors import UsageError

VENDOR = "rnnc"
EPOCH = (1980, 1, 1, 0, 0, 0)
"""The date of files in the archive: the same content gives the same bytes."""
_MVE = ("Cortex-M55", "Cortex-M85")
_DSP = ("Cortex-M4", "Cortex-M7", "Cortex-M33", "Cortex-M35P", *_MVE)
_THUMB2 = ("Cortex-M3", "SC300", *_DSP)
_THUMB = ("Cortex-M0", "Cortex-M0+", "Cortex-M1", "Cortex-M23", "SC000", *_THUMB2)
CORES: dict[str, tuple[str, ...]] = {
    "portable": (),
    "all": (),
    "cortex-m0": _THUMB,
    "cortex-m3": _THUMB2,
    "cortex-m4": _DSP,
    "cortex-m7": _DSP,
    "cortex-m33": _DSP,
    "cortex-m55": _MVE,
}
"""The cores that each target's instructions may be on, as packs name them; () for any."""


def pack_name(name: str) -> str:
    """What the description is called, without its ending."""
    return f"{VENDOR}.{name}"


def pack_file(name: str, version: str) -> str:
    """What the archive is called."""
    return f"{pack_name(name)}.{version}.pack"


def cmsis_context(programs: tuple[Program, ...]) -> dict[str, Any]:
    """The context of the description; raises UsageError for a target that is no Cortex-M."""
    target = programs[0].target.name
    if target not in CORES:
        raise UsageError(
            f"--package cmsis-pack: target {target!r} is no Cortex-M", hint=f"Take one of {', '.join(CORES)}."
        )
    parts = [("selftest", "Golden vectors: returns 0 on a board that computes right")]
    parts += [("serial", "Serves the network over a serial line, to rnnc verify --port")]
    return {
        "target": target,
        "cores": CORES[target],
        "condition": ' condition="Core"' if CORES[target] else "",
        "parts": [(p.name, part, what) for p in programs for part, what in parts],
    }


def archive(files: Mapping[str, str]) -> bytes:
    """The pack itself."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as pack:
        for name in sorted(files):
            pack.writestr(zipfile.ZipInfo(name, EPOCH), files[name].encode(), zipfile.ZIP_DEFLATED)
    return content.getvalue()
