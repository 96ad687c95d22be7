"""Which network a saved state belongs to: a number made of its integers, whatever it is called and whatever runs it."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from typing import Any

import numpy as np

from rnnc.qnet import Constant, QNet, UnitRows, WeightRows


def model_id(qnet: QNet) -> int:
    """CRC-32 of all weights, parameters and state formats: the same for every name and every target."""
    crc = 0
    for part in _parts(qnet):
        crc = zlib.crc32(part, crc)
    return crc


def _parts(qnet: QNet) -> Iterator[bytes]:
    for op in qnet.ops:
        yield op.op.kind.encode()
        for call in op.calls():
            yield call.function.encode()
            yield from _field(tuple(call.fields))
    if qnet.net.overlaps:
        yield f"windows of {qnet.net.window} every {qnet.net.every}".encode()
    for s in qnet.states():
        yield f"{s.size} {s.format}".encode()


def _field(value: Any) -> Iterator[bytes]:
    if isinstance(value, WeightRows):
        yield from (np.ascontiguousarray(b, "<i8").tobytes() for b in value.blocks)
    elif isinstance(value, Constant | UnitRows):
        yield np.ascontiguousarray(value.data, "<i8").tobytes()
    elif isinstance(value, tuple):
        for item in value:
            yield from _field(item)
    else:
        assert isinstance(value, int | str | np.integer), value
        yield str(value).encode()
