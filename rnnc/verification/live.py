"""One stream, a frame at a time as the frames come: what a pipe from a sensor wants."""

from __future__ import annotations

import ctypes
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, get_args

import numpy as np

from rnnc.backend.program import Port, Program
from rnnc.errors import DataError, UsageError
from rnnc.files import write_files
from rnnc.fixed import Floats, Ints
from rnnc.interruption import TemporaryFolder
from rnnc.net import Array
from rnnc.streams import start_net, start_qnet
from rnnc.verification.host import build, find_compiler

LiveEngine = Literal["c", "oracle", "float"]
Ticks = dict[str, Floats]
"""Each output's new values, ``[ticks, size]``, none where it is not due; real units."""

SHIM = """
#include "{name}.h"
static {name}_t s;
void rnnc_live_reset(void);
int rnnc_live_step({inputs}, {outputs});
int rnnc_live_flush({outputs});
void rnnc_live_reset(void) {{ {name}_reset(&s); }}
int rnnc_live_step({inputs}, {outputs}) {{ {step} }}
int rnnc_live_flush({outputs}) {{ {flush} }}
"""


class Live(ABC):
    """A running stream; a context manager."""

    program: Program

    def __enter__(self) -> Live:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @abstractmethod
    def close(self) -> None:
        """Give back what it holds."""

    @abstractmethod
    def step(self, frame: Mapping[str, Array]) -> Ticks:
        """Take one frame ``[*shape]`` of each input, real units or row numbers; raises DataError where it is no such frame."""

    @abstractmethod
    def flush(self) -> list[Ticks]:
        """What comes after the last frame."""

    def _checked(self, frame: Mapping[str, Array]) -> dict[str, Array]:
        """A frame of each input in its shape."""
        shapes = {v.name: v.shape for v in self.program.qnet.net.inputs}
        if not isinstance(frame, Mapping) or set(frame) != set(shapes):
            given = ", ".join(map(str, frame)) if isinstance(frame, Mapping) else f"a {type(frame).__name__}"
            hint = f"step({{{', '.join(f'{name!r}: frame' for name in shapes)}}}), each an array of one step."
            raise DataError(f"a frame by the input's name is needed, not {given or 'nothing'}", where="step", hint=hint)
        return {name: _fitting(name, frame[name], shape) for name, shape in shapes.items()}


def start(engine: LiveEngine, program: Program, files: Mapping[str, str]) -> Live:
    """Start a stream; raises MissingTool where engine "c" has no compiler, UsageError where there is no such engine."""
    if engine not in get_args(LiveEngine):
        raise UsageError(f"engine {engine!r} does not stream", hint=f"One of: {', '.join(get_args(LiveEngine))}.")
    return LiveC(program, files) if engine == "c" else LiveNumpy(program, exact=engine == "float")


class LiveNumpy(Live):
    """The oracle, or the network in real numbers."""

    def __init__(self, program: Program, *, exact: bool) -> None:
        self.program, self.exact = program, exact
        self.stream = start_net(program.qnet.net) if exact else start_qnet(program.qnet)

    def close(self) -> None:
        self.stream.reset()

    def step(self, frame: Mapping[str, Array]) -> Ticks:
        return self._real(self.stream.advance({k: x[None, None] for k, x in self._given(frame).items()}))

    def flush(self) -> list[Ticks]:
        return [self._real(self.stream.drain())]

    def _given(self, frame: Mapping[str, Array]) -> dict[str, Array]:
        formats = self.program.qnet.formats
        return {k: x if self.exact else formats[k].quantize(x) for k, x in self._checked(frame).items()}

    def _real(self, outputs: Mapping[str, Array]) -> Ticks:
        result = {}
        for p in self.program.outputs:
            y = outputs[p.name][:, 0]
            real = y if self.exact else p.format.dequantize(y)
            result[p.name] = np.asarray(real, np.float64).reshape(len(y), _width(p))
        return result


class LiveC(Live):
    """The package, compiled for this machine."""

    def __init__(self, program: Program, files: Mapping[str, str]) -> None:
        self.program = program
        find_compiler()
        self._folder = TemporaryFolder()
        here = Path(self._folder.name)
        library = here / "live.so"
        with ExitStack() as undone:
            undone.callback(self._folder.cleanup)
            write_files(here, {**files, "live.c": _shim(program)})
            build(here, library, [f"{program.name}.c", "live.c"], "-shared", "-fPIC")
            self._c = ctypes.CDLL(str(library))
            undone.pop_all()
        self._now: list[Ints] = [np.zeros(p.size, p.format.ctype.removesuffix("_t")) for p in program.outputs]
        self._c.rnnc_live_reset()

    def close(self) -> None:
        self._folder.cleanup()

    def step(self, frame: Mapping[str, Array]) -> Ticks:
        given, checked = [], self._checked(frame)
        for p in self.program.inputs:
            x = p.format.quantize(checked[p.name]).reshape(-1)
            given.append(np.ascontiguousarray(x.astype(p.format.ctype.removesuffix("_t"))))
        return self._written(self._c.rnnc_live_step(*_pointers(given), *_pointers(self._now)))

    def flush(self) -> list[Ticks]:
        found = []
        while wrote := self._c.rnnc_live_flush(*_pointers(self._now)):
            found.append(self._written(wrote))
        return found

    def _written(self, wrote: int) -> Ticks:
        result = {}
        for i, (p, y) in enumerate(zip(self.program.outputs, self._now, strict=True)):
            due = wrote & (1 << i) if self.program.apart else wrote
            result[p.name] = _rows(p, y) if due else np.zeros((0, _width(p)))
        return result


def _fitting(name: str, value: Any, shape: tuple[int, ...]) -> Array:
    """One frame of an input in its shape; raises DataError."""
    try:
        x = np.asarray(value)
    except ValueError as error:
        raise DataError(f"{name!r} is no array: {error}", where="step") from None
    wanted = list(shape) or "one number"
    if x.dtype.kind not in "biuf" or x.size != np.prod(shape, dtype=np.int64):
        what = f"{name!r} is {list(x.shape)} of {x.dtype}; a frame is {wanted}"
        raise DataError(what, where="step", hint="One call takes one step; simulate takes whole recordings.")
    if not np.isfinite(x).all():
        what = f"{name!r} is not finite at {int(np.argmin(np.isfinite(x)))}"
        raise DataError(
            what, where="step", hint="A network would keep it in its state: fill the gap as the firmware will."
        )
    return x.reshape(shape)


def _width(port: Port) -> int:
    return port.size // max(port.ticks, 1)


def _rows(port: Port, y: Ints) -> Floats:
    """What a port holds, as ``[ticks, size]`` in real units."""
    ticks = y.astype(np.int64).reshape(max(port.ticks, 1), *(port.shape[1:] if port.ticks else port.shape))
    return np.asarray(port.format.dequantize(ticks), np.float64).reshape(-1, _width(port))


def _pointers(arrays: Sequence[Array]) -> list[ctypes.c_void_p]:
    return [ctypes.c_void_p(a.ctypes.data) for a in arrays]


def _shim(program: Program) -> str:
    n = program.name
    inputs = ", ".join(f"const {p.format.ctype} *in{k}" for k, p in enumerate(program.inputs))
    outputs = ", ".join(f"{p.format.ctype} *out{k}" for k, p in enumerate(program.outputs))
    given = ", ".join(f"in{k}" for k, _ in enumerate(program.inputs))
    taken = ", ".join(f"out{k}" for k, _ in enumerate(program.outputs))
    call = f"{n}_step(&s, {given}, {taken});"
    step = f"return {call}" if program.returns else f"{call} return 1;"
    nothing = " ".join(f"(void)out{k};" for k, _ in enumerate(program.outputs))
    flush = f"return {n}_flush(&s, {taken});" if program.flush else f"{nothing} return 0;"
    return SHIM.format(name=n, inputs=inputs, outputs=outputs, step=step, flush=flush)
