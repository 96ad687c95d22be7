"""What integers mean, as scripts in a page or beside a module of WebAssembly read it."""

from __future__ import annotations

from typing import Any

import numpy as np

from rnnc.backend.program import Port
from rnnc.fixed import Format


def port_numbers(port: Port) -> dict[str, Any]:
    """Of an input or output."""
    return numbers(port.name, port.size, port.format, max(port.ticks, 1))


def numbers(name: str, size: int, form: Format, ticks: int = 1) -> dict[str, Any]:
    """As ``Format``, for JSON; scales of one tick are repeated for all."""
    scale, offset = (np.tile(a, ticks) if a.size > 1 else a for a in (form.scale, form.offset))
    return {
        "name": name,
        "size": size,
        "ctype": form.ctype,
        "scale": scale.tolist(),
        "offset": offset.tolist(),
        "zero": form.zero,
        "lo": form.lo,
        "hi": form.hi,
        "index": form.index,
    }
