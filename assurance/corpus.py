"""Damaged models and damaged data: each ends in a documented code with one message, in 10 s and 1 GiB, and leaves nothing."""

from __future__ import annotations

import io
import wave
from collections.abc import Callable
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory

import numpy as np

from assurance.store import ROOT, Outcome
from assurance.worker import fault, prepare, rnnc
from tests.support.mutants import mutant
from tests.support.small import FEATURES, small

CASES = 100
EXAMPLES = ("gesture/gesture", "sentiment/sentiment", "policy/policy", "heartbeat/heartbeat")
DATA = 0.15
"""The part of the cases whose data are damaged, not the model."""


def bases() -> list[bytes]:
    """Sound models that mutants are made of."""
    forms = [small(), small(explicit=True), small(batch_first=True), small(last=True, time=12)]
    files = [ROOT / "examples" / f"{name}.onnx" for name in EXAMPLES]
    return forms + [path.read_bytes() for path in files if path.exists()]


def run(shard: str) -> Outcome:
    """One hundred seeds."""
    return cases(range(int(shard) * CASES, (int(shard) + 1) * CASES))


def cases(seeds: range) -> Outcome:
    """A case for each seed."""
    prepare()
    sound, failures, seconds, mib = bases(), list[str](), 0.0, 0.0
    for seed in seeds:
        with TemporaryDirectory(prefix="rnnc-assurance-") as name:
            folder = Path(name)
            arguments = _case(seed, sound, folder)
            done = rnnc(arguments, folder)
            seconds, mib = max(seconds, done.seconds), max(mib, done.mib)
            before = {p.name for p in folder.iterdir() if p.name.startswith("case")}
            if why := fault(done, before, folder, "out"):
                failures.append(f"seed {seed} ({' '.join(arguments)}): {why}")
    return Outcome(len(seeds), failures, {"seconds": round(seconds, 1), "MiB": round(mib)})


def _case(seed: int, sound: list[bytes], folder: Path) -> list[str]:
    """Write a seed's files; the arguments of its command."""
    rng = Random(seed)
    model = sound[seed % len(sound)]
    if rng.random() < DATA:
        kind = rng.choice(sorted(KINDS))
        (folder / "case.onnx").write_bytes(small())
        (folder / f"case{kind}").write_bytes(damaged(KINDS[kind](seed), rng, text=kind == ".csv"))
        return ["compile", "--no-verify", "case.onnx", "--calib", f"case{kind}", "-o", "out"]
    (folder / "case.onnx").write_bytes(mutant(model, seed))
    return ["compile", "--no-verify", "case.onnx", "-o", "out"] if seed % 2 else ["inspect", "case.onnx"]


def _samples(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((40, FEATURES)).astype(np.float32)


def _npy(seed: int) -> bytes:
    stream = io.BytesIO()
    np.save(stream, _samples(seed))
    return stream.getvalue()


def _npz(seed: int) -> bytes:
    stream = io.BytesIO()
    save = np.savez_compressed if seed % 2 else np.savez
    save(stream, x=_samples(seed), lengths=np.array([15, 25]))
    return stream.getvalue()


def _csv(seed: int) -> bytes:
    rows = [",".join(f"{v:.4f}" for v in row) for row in _samples(seed)]
    return "\n".join(["a,b,c", *rows]).encode()


def _wav(seed: int) -> bytes:
    stream = io.BytesIO()
    with wave.open(stream, "wb") as sound:
        sound.setnchannels(FEATURES)
        sound.setsampwidth(2)
        sound.setframerate(8000)
        sound.writeframes((_samples(seed) * 8000).astype("<i2").tobytes())
    return stream.getvalue()


KINDS: dict[str, Callable[[int], bytes]] = {".npy": _npy, ".npz": _npz, ".csv": _csv, ".wav": _wav}
TEXTS = [b"nan", b"inf", b"1e999", b"", b'"', b";", b"\x00", b"\xff\xfe", b"\n\n", b"--1", b"1,2", b"9" * 5000]


def damaged(content: bytes, rng: Random, *, text: bool) -> bytes:
    """A copy with some bytes changed, cut off, repeated, or with a cell replaced."""
    data = bytearray(content)
    for _ in range(rng.randrange(1, 6)):
        at = rng.randrange(len(data)) if data else 0
        change = rng.randrange(5)
        if change == 0:
            del data[at:]
        elif change == 1:
            data[at : at + rng.randrange(1, 40)] = b""
        elif change == 2:
            data[at:at] = data[: rng.randrange(200)]
        elif text and change == 3:
            data[at : at + 6] = rng.choice(TEXTS)
        elif data:
            data[at] = rng.randrange(256)
    return bytes(data)
