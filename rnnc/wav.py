"""WAV files: PCM of 8 to 32 bits and IEEE float, as samples in [-1, 1)."""

from __future__ import annotations

import struct
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnnc.errors import DataError

PCM, FLOAT, EXTENSIBLE = 1, 3, 0xFFFE


def read_wav(content: bytes) -> NDArray[np.float32]:
    """Samples ``[time, channels]``; raises DataError where it is not a WAV file of these kinds."""
    return read_sound(content)[0]


def read_sound(content: bytes) -> tuple[NDArray[np.float32], int]:
    """As ``read_wav``, with the samples of a second."""
    if content[:4] != b"RIFF" or content[8:12] != b"WAVE":
        raise DataError("is not a WAV file")
    chunks = _chunks(content)
    if len(chunks.get(b"fmt ", b"")) < 16 or b"data" not in chunks:
        raise DataError("is a damaged WAV file: no fmt or data chunk")
    kind, channels, rate, _, _, bits = struct.unpack("<HHIIHH", chunks[b"fmt "][:16])
    if kind == EXTENSIBLE and len(chunks[b"fmt "]) >= 26:
        kind = struct.unpack("<H", chunks[b"fmt "][24:26])[0]
    if channels < 1:
        raise DataError("is a damaged WAV file: no channels")
    step = channels * bits // 8
    whole = len(chunks[b"data"]) // max(step, 1) * step
    with np.errstate(over="ignore"):  # what becomes infinite is told by the reader of the data
        samples = _samples(chunks[b"data"][:whole], kind, bits).astype(np.float32)
    return samples.reshape(-1, channels), rate


def _chunks(content: bytes) -> dict[bytes, bytes]:
    """The first chunk of either kind that is read."""
    chunks: dict[bytes, bytes] = {}
    at = 12
    while at + 8 <= len(content):
        size = int(struct.unpack("<I", content[at + 4 : at + 8])[0])
        if content[at : at + 4] in (b"fmt ", b"data"):
            chunks.setdefault(content[at : at + 4], content[at + 8 : at + 8 + size])
        at += 8 + size + size % 2
    return chunks


def _samples(raw: bytes, kind: int, bits: int) -> NDArray[Any]:
    if kind == FLOAT and bits in (32, 64):
        return np.frombuffer(raw, f"<f{bits // 8}")
    if kind == PCM and bits == 8:
        return (np.frombuffer(raw, np.uint8).astype(np.float64) - 128) / 128
    if kind == PCM and bits in (16, 32):
        return np.frombuffer(raw, f"<i{bits // 8}") / 2.0 ** (bits - 1)
    if kind == PCM and bits == 24:
        padded = np.zeros((len(raw) // 3, 4), np.uint8)
        padded[:, 1:] = np.frombuffer(raw, np.uint8).reshape(-1, 3)
        return padded.view("<i4").ravel() / 2.0**31
    raise DataError(
        f"is a WAV file of a kind that is not read here (format {kind}, {bits} bits)", hint="Use 16-bit PCM."
    )
