"""Files of a few bytes that would take all time and memory, and files that are none: each is refused within its budget."""

from __future__ import annotations

import io
import os
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from numpy.lib import format as npy
from onnx import helper

from assurance.store import Outcome
from assurance.worker import fault, prepare, rnnc
from tests.support.small import small
from tests.unit import test_resource_bombs as bombs

MIB = 1 << 20


def _of_length(node_type: str, inputs: list[str], **constants: np.ndarray) -> bytes:
    """A node whose constants say how much it makes, and its sum."""
    nodes = [helper.make_node(node_type, inputs, ["big"]), helper.make_node("ReduceSum", ["big"], ["sum"], keepdims=0)]
    given = [bombs.tensor(name, value, value.dtype.type) for name, value in constants.items()]
    return bombs.in_front(*nodes, constants=given, result="sum")


ONE = np.ones(1, np.float32)
IMAGE = np.ones((1, 1, 2, 2), np.float32)
MODELS: dict[str, Callable[[], bytes]] = {
    "functions-60-deep": lambda: bombs.functions(60, 2).SerializeToString(),
    "functions-7-of-10": lambda: bombs.functions(7, 10).SerializeToString(),
    "loop-of-ten-million": lambda: bombs.loop(10_000_000),
    "loop-without-end": lambda: bombs.loop(None),
    "range": bombs.range_of_a_constant,
    "range-computed": bombs.range_of_a_computed_length,
    "expand": bombs.expanded,
    "doubling": bombs.doubled,
    "products": lambda: bombs.multiplied(8192),
    "inputs": bombs.wide_inputs,
    "tile": lambda: _of_length("Tile", ["x1", "n"], x1=ONE, n=np.array([1 << 33])),
    "pad": lambda: _of_length("Pad", ["x1", "n"], x1=ONE, n=np.array([0, 1 << 33])),
    "constant-of-shape": lambda: _of_length("ConstantOfShape", ["n"], n=np.array([1 << 17, 1 << 17])),
    "resize": lambda: _of_length("Resize", ["x1", "", "", "n"], x1=IMAGE, n=np.array([1, 1, 1 << 16, 1 << 16])),
    "resize-by-scale": lambda: _of_length(
        "Resize", ["x1", "", "n"], x1=IMAGE, n=np.array([1, 1, 1e5, 1e5], np.float32)
    ),
    "one-hot": lambda: _of_length(
        "OneHot", ["i", "n", "v"], i=np.zeros(10, np.int64), n=np.array(1 << 33), v=np.array([0, 1], np.float32)
    ),
    "no-model": lambda: bytes(MIB),
    "nothing": lambda: b"",
}


def _header(shape: tuple[int, ...], dtype: str = "<f4") -> bytes:
    stream = io.BytesIO()
    npy.write_array_header_1_0(stream, {"descr": dtype, "fortran_order": False, "shape": shape})
    return stream.getvalue()


def _zipped(path: Path, shape: tuple[int, ...], dtype: str) -> None:
    """An array of zeros, compressed a thousandfold."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive, archive.open("x.npy", "w") as stream:
        stream.write(_header(shape, dtype))
        for _ in range(int(np.prod(shape)) * np.dtype(dtype).itemsize // MIB):
            stream.write(bytes(MIB))


def _header_bomb(path: Path) -> None:
    """A header that says it has 1 GiB, and has."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive, archive.open("x.npy", "w") as stream:
        stream.write(b"\x93NUMPY\x02\x00" + struct.pack("<I", 1 << 30))
        for _ in range(1 << 10):
            stream.write(b" " * MIB)


def _list_bomb(path: Path) -> None:
    """The list of 600,000 arrays, which are all the same."""
    count, name = 600_000, b"x.npy"
    entry = b"PK\x01\x02" + struct.pack("<2H", 20, 20) + bytes(20) + struct.pack("<H", len(name)) + bytes(16) + name
    zip64 = struct.pack("<4sQ2H2I4Q", b"PK\x06\x06", 44, 45, 45, 0, 0, count, count, count * len(entry), 0)
    locator = struct.pack("<4sIQI", b"PK\x06\x07", 0, count * len(entry), 1)
    end = struct.pack("<4s4H2IH", b"PK\x05\x06", 0, 0, 0xFFFF, 0xFFFF, 0xFFFFFFFF, 0xFFFFFFFF, 0)
    path.write_bytes(entry * count + zip64 + locator + end)


def _sparse(path: Path) -> None:
    path.write_bytes(_header((80 * MIB, 3), "|i1"))
    os.truncate(path, path.stat().st_size + 240 * MIB)


def _wav(path: Path) -> None:
    path.write_bytes(b"RIFF" + struct.pack("<I", 0xFFFFFFFF) + b"WAVE" + (b"junk" + struct.pack("<I", 0)) * 5_000_000)


DATA: dict[str, Callable[[Path], object]] = {
    "zip-bomb.npz": lambda p: _zipped(p, (50 * MIB, 3), "|i1"),
    "header-bomb.npz": _header_bomb,
    "list-bomb.npz": _list_bomb,
    "short-sequences.npz": lambda p: np.savez_compressed(p, x=np.ones((MIB, 3)), lengths=np.ones(MIB, np.int64)),
    "sparse.npy": _sparse,
    "huge-header.npy": lambda p: p.write_bytes(_header((10**12, 3))),
    "deep-header.npy": lambda p: p.write_bytes(b"\x93NUMPY\x01\x00" + struct.pack("<H", 9000) + b"[" * 9000),
    "rows.csv": lambda p: p.write_bytes(b"1,1,1\n" * (4 * MIB)),
    "blank-lines.csv": lambda p: p.write_bytes(b"\n" * (16 * MIB)),
    "one-line.csv": lambda p: p.write_bytes(b"1," * (40 * MIB)),
    "huge-field.csv": lambda p: p.write_bytes(b"1,2," + b"9" * 200_000 + b"\n"),
    "open-quote.csv": lambda p: p.write_bytes(b'"' + b"a\n" * (8 * MIB)),
    "chunks.wav": _wav,
    "pipe.csv": os.mkfifo,
    "device.npy": lambda p: p.symlink_to("/dev/zero"),
    "device.csv": lambda p: p.symlink_to("/dev/zero"),
}
NAMES = [*MODELS, *DATA]


def run(shard: str) -> Outcome:
    """One file: models end in 3, data in 4."""
    prepare()
    with TemporaryDirectory(prefix="rnnc-assurance-") as name:
        folder = Path(name)
        model = folder / "case.onnx"
        arguments = ["compile", "--no-verify", model.name, "-o", "out"]
        if shard in MODELS:
            model.write_bytes(MODELS[shard]())
        else:
            model.write_bytes(small())
            DATA[shard](folder / shard)
            arguments += ["--calib", shard]
        before = {p.name for p in folder.iterdir()}
        done = rnnc(arguments, folder)
        why = fault(done, before, folder, "out")
    if not why and done.code != (3 if shard in MODELS else 4):
        why = f"exit code {done.code}"
    figures = {"seconds": round(done.seconds, 1), "MiB": round(done.mib)}
    return Outcome(1, [f"{shard}: {why}"] if why else [], figures)
