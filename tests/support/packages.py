"""Emitted packages, built on this machine and called function by function."""

from __future__ import annotations

import ctypes
import re
import subprocess
import zlib
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from rnnc.backend.emit import Golden, emit
from rnnc.backend.layouts import Contents
from rnnc.backend.lower import lower
from rnnc.backend.program import Port, Program
from rnnc.files import write_files
from rnnc.qnet import QNet
from rnnc.streams import Stream, Windows, run_qnet
from rnnc.verification.saved import saved_state
from tests.support.nets import integers

Array = np.ndarray[Any, Any]
WARNINGS = "-std=c99 -pedantic -Wall -Wextra -Wconversion -Wshadow -Wstrict-prototypes -Werror".split()
"""What generated C must pass without a word, under gcc and clang."""
HEADER, CRC = 12, 4
PARTS = ("", "_state", "_selftest")
"""What a package of one network is compiled from: NAME.c and these."""


def package(
    qnet: QNet, name: str = "", target: str = "portable", steps: int = 4, *, many: bool = False
) -> tuple[Program, dict[str, str]]:
    """Lower and emit, with a self-test of ``steps`` steps; ``many``: with NAME_step_many."""
    program = lower(qnet, target, name, many=many)
    golden = integers(qnet, steps)
    outputs = {k: v[:, 0] for k, v in run_qnet(qnet, golden).items()}
    return program, emit(program, Golden({k: v[:, 0] for k, v in golden.items()}, outputs))


def contents(program: Program, model: str = "fan.onnx", version: str = "1.2.3") -> Contents:
    """What build systems are told of a package of one network."""
    return Contents(program.name, (program,), (model,), version)


def run(command: Sequence[str | Path], cwd: Path) -> str:
    """Run a command; fails with its output unless it ends well; returns stdout."""
    done = subprocess.run([str(c) for c in command], cwd=cwd, check=False, capture_output=True, text=True)
    if done.returncode:
        raise AssertionError(f"{' '.join(map(str, command))}: exit {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout


SANITIZERS = ("-O0", "-fsanitize=address,undefined", "-fno-sanitize-recover=all")
"""Without optimisation nothing that is wrong is left out, and it compiles in a third of the time."""


def check_together(
    built: Sequence[tuple[Program, Mapping[str, str]]], folder: Path, flags: Sequence[str] = SANITIZERS
) -> None:
    """Build packages of one target as one file of C and run their self-tests; fails by the number of the first that differs."""
    names = [program.name for program, _ in built]
    columns = max((o.columns for program, _ in built for o in program.operands), default=1)
    streams = "".join(f"static {n}_t s_{n};\n" for n in names)
    calls = "".join(f"    if ({n}_selftest(&s_{n})) {{ return {k}; }}\n" for k, n in enumerate(names, 1))
    main = (
        f"#define RNNC_MOST_COLUMNS {columns}\n{in_one(built)}{streams}int main(void)\n{{\n{calls}    return 0;\n}}\n"
    )
    for _, files in built:
        write_files(folder, files)
    write_files(folder, {"main.c": main})
    run(["gcc", *WARNINGS, *flags, "-I", ".", "main.c", "-o", "t"], folder)
    run([folder / "t"], folder)


def in_one(built: Sequence[tuple[Program, Mapping[str, str]]], parts: Sequence[str] = PARTS) -> str:
    """C that has networks' sources in it, their self-tests' vectors under names of their own: one file compiles sooner."""
    text = ""
    for program, files in built:
        n = program.name
        vectors = re.findall(r"^static const \w+ RNNC_ROM (\w+)\[", files[f"{n}_selftest.c"], re.M)
        text += "".join(f"#define {v} {n}_{v}\n" for v in vectors)
        text += "".join(f'#include "{n}{part}.c"\n' for part in parts)
        text += "".join(f"#undef {v}\n" for v in vectors)
    return text


class Built:
    """A package as a shared library; ``new`` starts streams, which are plain bytes."""

    def __init__(
        self, program: Program, files: Mapping[str, str], folder: Path, flags: Sequence[str] = ("-O0",)
    ) -> None:
        self.program, self.name = program, program.name
        n = self.name
        size = f"size_t struct_size(void);\nsize_t struct_size(void) {{ return sizeof({n}_t); }}\n"
        write_files(folder, {**files, "built.c": in_one([(program, files)]) + size})
        library = folder / f"{n}.so"
        run(["gcc", *WARNINGS, *flags, "-shared", "-fPIC", "-I.", "built.c", "-o", library], folder)
        self.c = ctypes.CDLL(str(library))
        self.c.struct_size.restype = ctypes.c_size_t

    @cached_property
    def blob_len(self) -> int:
        """NAME_BLOB_LEN."""
        return HEADER + self.program.saved_bytes + CRC

    def new(self) -> CStream:
        """A stream, reset, in memory that held garbage."""
        return CStream(self)


class CStream:
    """One stream of a built package."""

    def __init__(self, built: Built) -> None:
        self.built = built
        self.memory = np.full(built.c.struct_size(), 0xA5, np.uint8)
        self.call("reset")

    def call(self, function: str, *args: Any) -> int:
        """``NAME_function(s, args...)``."""
        pointers = [ctypes.c_void_p(a.ctypes.data) if isinstance(a, np.ndarray) else a for a in args]
        result = getattr(self.built.c, f"{self.built.name}_{function}")(
            ctypes.c_void_p(self.memory.ctypes.data), *pointers
        )
        return int(result)

    def step(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """One step over ``[*shape]`` of each input; the outputs that were written, ``[size]``."""
        x = [np.ascontiguousarray(inputs[i.name].astype(dtype(i)).reshape(i.size)) for i in self.built.program.inputs]
        return self._written("step", x)

    def flush(self) -> dict[str, Array]:
        """What comes when the sequence has ended: ``[written, size]`` of each output."""
        parts = []
        while self.built.program.flush and (part := self._written("flush", [])):
            parts.append(part)
        return self._joined(parts)

    def run(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """All steps of ``[steps, *shape]`` of each input: ``[written, size]`` of each output."""
        steps = len(next(iter(inputs.values())))
        return self._joined([self.step({k: v[t] for k, v in inputs.items()}) for t in range(steps)])

    def _written(self, function: str, x: Sequence[Array]) -> dict[str, Array]:
        p = self.built.program
        y = [np.full(o.size, 0x55, dtype(o)) for o in p.outputs]
        answer = self.call(function, *x, *y)
        if not (p.returns or function == "flush"):
            answer = 1
        wrote = [answer >> k & 1 if p.apart else answer for k in range(len(y))]
        return {o.name: a.astype(np.int64) for o, a, w in zip(p.outputs, y, wrote, strict=True) if w}

    def _joined(self, parts: Sequence[Mapping[str, Array]]) -> dict[str, Array]:
        return {
            o.name: np.array([p[o.name] for p in parts if o.name in p], np.int64).reshape(-1, o.size)
            for o in self.built.program.outputs
        }

    def save(self) -> bytes:
        """The blob."""
        blob = np.zeros(self.built.blob_len, np.uint8)
        length = self.call("save", blob)
        assert length == len(blob)
        return blob.tobytes()

    def restore(self, blob: bytes) -> int:
        """NAME_restore's answer."""
        data = np.frombuffer(blob + b"\0", np.uint8).copy()
        return self.call("restore", data, ctypes.c_size_t(len(blob)))


def dtype(port: Port) -> np.dtype[Any]:
    """The numpy type of a port's C type."""
    return np.dtype(port.format.ctype.removesuffix("_t"))


def blob_of(program: Program, stream: Stream | Windows, inputs: Mapping[str, Array], header: bytes) -> bytes:
    """The blob that an oracle's state makes before the sequence's end, with the header of any blob of the package.

    ``inputs``: all that the oracle has taken, ``[steps, lanes, *shape]``; windows that overlap keep some of it.
    """
    body = header
    if isinstance(stream, Windows):
        body += saved_state(program, inputs, {})[0].tobytes()
        return bytes(body + zlib.crc32(body).to_bytes(4, "little"))
    for m in program.members:
        if not m.state.follows:
            body += stream.state[m.state.name][0].astype(f"<i{m.state.format.bits // 8}").tobytes()
    for counter in program.counters:
        body += counter.after(stream.steps).to_bytes(2, "little")
    return body + zlib.crc32(body).to_bytes(4, "little")
