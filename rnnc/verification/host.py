"""The generated C on this machine: built with its compiler, run over whole batches, compared bit for bit."""

from __future__ import annotations

import ctypes
import shutil
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

import numpy as np

from rnnc.backend.emit import HEADER_AND_CRC
from rnnc.backend.program import Port, Program
from rnnc.errors import MissingTool, VerificationError
from rnnc.files import write_files
from rnnc.interruption import TemporaryFolder
from rnnc.net import Array, Net
from rnnc.qnet import QNet
from rnnc.streams import Observer, Stream, Windows, stream_qnet
from rnnc.verification.batches import Batch
from rnnc.verification.digests import Digest, Digests, WindowDigests, c_digest, of_struct
from rnnc.verification.saved import saved_state
from rnnc.verification.tools import run_tool

COMPILERS = ("cc", "gcc", "clang")
FLAGS = ("-std=c99", "-O2", "-DRNNC_PLAIN")
CRC_BYTES = 4
HEADER_BYTES = HEADER_AND_CRC - CRC_BYTES

DRIVER = """
#include <string.h>
#include "{name}.h"

/* Runs lanes one after the other to the end: arrays are [time][lane][element], blobs [lane][bytes], limits [output] how
 * often each output is to be written, sums [time][lane] of the states after each step. The state is saved after the last
 * frame. Returns how often step or flush wrote an output when it was not due, or did not write it when it was. */
int rnnc_drive(int32_t steps, int32_t lanes, {parameters}, uint8_t *blobs, const int32_t *limits, uint32_t *sums)
{{
    static {name}_t s;
    int wrong = 0;
    for (int32_t lane = 0; lane < lanes; lane++) {{
        int wrote;
        {counters}
        {buffers}
        memset(&s, 0x5a, sizeof s);
        {name}_reset(&s);
        for (int32_t t = 0; t < steps; t++) {{
            {call}
            {stores}
            uint32_t sum = 0;
            {digest}
            sums[(size_t)t * (size_t)lanes + (size_t)lane] = sum;
        }}
        {name}_save(&s, blobs + (size_t)lane * {blob});
        {flush}
        {checks}
    }}
    return wrong;
}}
"""
SELFTEST = """
int rnnc_drive_selftest(void)
{{
    static {name}_t s;
    return {name}_selftest(&s);
}}
"""

MAIN = """
#include <stdio.h>
{includes}
int main(void)
{{
    int step, wrong = 0;
    {calls}
    return wrong;
}}
"""
SELFTEST_FAILS = "{name}_selftest fails: step {step}"
CALL = """
    {{
        static {name}_t s;
        step = {name}_selftest(&s);
        if (step) {{
            printf("{fails}\\n", step);
            wrong = 1;
        }}
    }}
"""


def find_compiler() -> str:
    """The path of a C compiler; raises MissingTool where there is none."""
    for name in COMPILERS:
        path = shutil.which(name)
        if path:
            return path
    raise MissingTool(
        "no C compiler is installed",
        hint="Install gcc or clang. rnnc compile --no-verify and rnnc simulate --engine oracle do without.",
    )


def build(folder: Path, output: Path, sources: Sequence[str], *flags: str) -> None:
    """Compile ``sources`` of ``folder``; raises VerificationError with the compiler's first error."""
    command = [find_compiler(), *FLAGS, *flags, "-I", ".", *sources, "-o", str(output)]
    done = run_tool(command, folder)
    if done.returncode:
        first = next((line for line in done.stderr.splitlines() if "error" in line), done.stderr.strip()[:300])
        raise VerificationError(f"the generated C does not compile: {first}")


def selftest_main(names: Sequence[str]) -> str:
    """C of a program that runs the self-tests of the networks of these names; its exit code is 0 where all pass."""
    includes = "\n".join(f'#include "{n}.h"' for n in names)
    calls = (CALL.format(name=n, fails=SELFTEST_FAILS.format(name=n, step="%d")) for n in names)
    return MAIN.format(includes=includes, calls="".join(calls))


def selftests(programs: Sequence[Program], files: Mapping[str, str], sources: Sequence[str]) -> None:
    """Build the self-tests of networks as a program of its own and run it; raises VerificationError where one fails.

    Args:
        sources: the C of the networks, without their self-tests.
    """
    names = [p.name for p in programs]
    with TemporaryFolder() as folder:
        here = Path(folder)
        write_files(here, {**files, "selftest_main.c": selftest_main(names)})
        build(here, here / "selftest", [*sources, *(f"{n}_selftest.c" for n in names), "selftest_main.c"])
        done = run_tool([here / "selftest"])
        if done.returncode:
            said = "; ".join(done.stdout.splitlines())
            raise VerificationError(said or f"{', '.join(names)}: a self-test ends with exit code {done.returncode}")


@dataclass(frozen=True, eq=False)
class HostRun:
    """What the C made of a batch.

    Args:
        outputs: ``[ticks, lanes, *shape]`` of each output.
        blobs: the saved state, ``[lanes, bytes]``.
        sums: the check sum of the states after each step, ``[steps, lanes]``.
    """

    outputs: dict[str, Array]
    blobs: Array
    sums: Digest


class HostPackage:
    """A package built for this machine; a context manager, as its folder lives as long as it.

    Args:
        tested: with its self-test, too: a compiler reads large weights more slowly than anything else is done here, so they
            are compiled once for both.

    Raises MissingTool without a compiler, VerificationError where the C does not compile.
    """

    def __init__(self, program: Program, files: Mapping[str, str], *, tested: bool = False) -> None:
        self.program = program
        name = program.name
        driver = _driver(program) + (SELFTEST.format(name=name) if tested else "")
        sources = [f"{name}.c", f"{name}_state.c", *([f"{name}_selftest.c"] if tested else []), "driver.c"]
        find_compiler()
        self._folder = TemporaryFolder()
        here = Path(self._folder.name)
        library = here / "package.so"
        with ExitStack() as undone:
            undone.callback(self._folder.cleanup)
            write_files(here, {**files, "driver.c": driver})
            build(here, library, sources, "-shared", "-fPIC")
            try:
                self._library = ctypes.CDLL(str(library))
                self._drive = self._library.rnnc_drive
            except OSError as error:
                raise VerificationError(f"the generated C does not link: {error}") from None
            undone.pop_all()
        self._drive.restype = ctypes.c_int

    def __enter__(self) -> HostPackage:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._folder.cleanup()

    def selftest(self) -> str:
        """Run the self-test of a package that is ``tested``; what it says against the C, "" for nothing."""
        step = self._library.rnnc_drive_selftest()
        return SELFTEST_FAILS.format(name=self.program.name, step=step) if step else ""

    def run(self, inputs: Mapping[str, Array]) -> HostRun:
        """Run integer inputs ``[steps, lanes, *shape]``, each lane from reset."""
        p = self.program
        steps, lanes = next(iter(inputs.values())).shape[:2]
        arrays = [
            np.ascontiguousarray(inputs[i.name].reshape(steps, lanes, i.size).astype(_dtype(i))) for i in p.inputs
        ]
        writes = [p.qnet.net.ticks(o, steps) // max(o.ticks, 1) for o in p.qnet.outputs]
        results = [np.zeros((max(1, n), lanes, o.size), _dtype(o)) for n, o in zip(writes, p.outputs, strict=True)]
        blobs = np.zeros((lanes, blob_length(p)), np.uint8)
        limits, sums = np.array(writes, np.int32), np.zeros((steps, lanes), np.uint32)
        pointers = [ctypes.c_void_p(a.ctypes.data) for a in [*arrays, *results, blobs, limits, sums]]
        wrong = self._drive(ctypes.c_int32(steps), ctypes.c_int32(lanes), *pointers)
        if wrong:
            raise VerificationError(f"{p.name} does not write its outputs when they are due: {wrong} times")
        found = zip(p.outputs, results, writes, strict=True)
        return HostRun({o.name: by_tick(o, r[:n]).astype(np.int64) for o, r, n in found}, blobs, sums)


def by_tick(port: Port, written: Array) -> Array:
    """What a port holds at each write, ``[writes, lanes, size]``, as ``[ticks, lanes, *shape]``."""
    writes, lanes = written.shape[:2]
    if not port.ticks:
        return written.reshape(writes, lanes, *port.shape)
    return written.reshape(writes, lanes, *port.shape).swapaxes(1, 2).reshape(-1, lanes, *port.shape[1:])


def _dtype(port: Port) -> np.dtype[np.generic]:
    return np.dtype(port.format.ctype.removesuffix("_t"))


def blob_length(program: Program) -> int:
    """Bytes of a saved state."""
    return program.saved_bytes + HEADER_AND_CRC


@dataclass(frozen=True, eq=False)
class OracleRun:
    """What the oracle made of a batch, in integers: inputs, outputs ``[ticks, lanes, *shape]``, and the states at the end.

    ``state`` is empty where windows overlap: each has its own. ``sums`` are the check sums of the states after each step,
    ``[steps, lanes]``, of windows that overlap those of each: ``[steps, windows, lanes]`` (rnnc.verification.digests).
    """

    batch: Batch
    inputs: dict[str, Array]
    outputs: dict[str, Array]
    state: dict[str, Array]
    sums: Digest


def quantized(qnet: QNet, batch: Batch) -> dict[str, Array]:
    """A batch's real inputs (or row numbers) as the integers that the C takes."""
    return {v.name: qnet.formats[v.name].quantize(batch.inputs[v.name]) for v in qnet.inputs}


def run_oracle(qnet: QNet, batch: Batch, observe: Observer | None = None, watch: Observer | None = None) -> OracleRun:
    """Run a batch from the initial state in NumPy; ``observe`` sees every value, ``watch`` every state of an op."""
    inputs = quantized(qnet, batch)
    lanes = len(batch.members)
    stream: Stream | Windows
    digests: Digests | WindowDigests
    if qnet.net.overlaps:
        digests = windows = WindowDigests(qnet, lanes)
        stream = Windows(qnet.net, lambda n: stream_qnet(qnet, n, observe, windows.observer(n, watch)), lanes)
    else:
        digests = Digests(qnet, batch.steps, lanes)
        stream = stream_qnet(qnet, lanes, observe, digests.observer(watch))
    outputs = stream.advance(inputs)
    state = {n: array.copy() for n, array in stream.state.items()} if isinstance(stream, Stream) else {}
    sums = digests.found()
    late = stream.drain()
    return OracleRun(batch, inputs, {n: np.concatenate([y, late[n]]) for n, y in outputs.items()}, state, sums)


@dataclass(frozen=True)
class Mismatch:
    """Where an output or a state first differs: in which lane of the batch, and at which step (from 0)."""

    lane: int
    step: int
    where: str


def first_difference(host: HostPackage, run: OracleRun) -> Mismatch | None:
    """Run the same batch in C; the earliest step whose output or state differs, else the saved bytes, None for nowhere."""
    got, found = host.run(run.inputs), list[Mismatch]()
    for port in host.program.outputs:
        c = got.outputs[port.name]
        oracle = run.outputs[port.name].reshape(c.shape)
        if not np.array_equal(c, oracle):
            tick, lane, *_ = (int(i) for i in np.argwhere(c != oracle)[0])
            where = f"output {port.name!r}, sequence {run.batch.members[lane]}, value {tick}"
            numbers = f"C {c[tick, lane].ravel()[:8].tolist()}, oracle {oracle[tick, lane].ravel()[:8].tolist()}"
            found.append(Mismatch(lane, _step(host.program.qnet.net, port, tick), f"{where}: {numbers}"))
    found += _states_differ(host.program, run, got)
    if found:
        return min(found, key=lambda f: f.step)
    saved = saved_state(host.program, run.inputs, run.state)
    wrong = np.any(saved != got.blobs[:, HEADER_BYTES:-CRC_BYTES], axis=1)
    if not wrong.any():
        return None
    lane = int(np.argmax(wrong))
    return Mismatch(
        lane, run.batch.steps - 1, f"the saved state of sequence {run.batch.members[lane]} after the last step"
    )


def _states_differ(program: Program, run: OracleRun, got: HostRun) -> list[Mismatch]:
    """The first step after which the states differ, if any."""
    sums = of_struct(program, run.sums, run.batch.steps)
    differ = np.argwhere(sums != got.sums[: len(sums)])
    if not len(differ):
        return []
    step, lane = (int(i) for i in differ[0])
    return [Mismatch(lane, step, f"the states of sequence {run.batch.members[lane]} after step {step + 1}")]


def _step(net: Net, port: Port, tick: int) -> int:
    """The step at which a value of an output comes."""
    if port.kind == "window":
        return net.window - 1 + tick // max(port.ticks, 1) * net.every
    return port.clock.phase + tick * port.clock.rate


def _driver(program: Program) -> str:
    inputs, outputs = list(enumerate(program.inputs)), list(enumerate(program.outputs))
    parameters = [f"const {p.format.ctype} *in{k}" for k, p in inputs]
    parameters += [f"{p.format.ctype} *out{k}" for k, p in outputs]
    frame = [f"in{k} + ((size_t)t * (size_t)lanes + (size_t)lane) * {p.size}" for k, p in inputs]
    now = ", ".join(f"now{k}" for k, _ in outputs)
    call = f"{program.name}_step(&s, {', '.join(frame)}, {now})"
    counted = f"wrote = {call}; wrong += wrote != ({_due(program)});"
    counted = _step_by_step(program, frame, counted) if program.continues else counted
    stores = " ".join(_store(program, k, p) for k, p in outputs)
    flush = f"while ((wrote = {program.name}_flush(&s, {now})) != 0) {{ {stores} }}" if program.flush else ""
    return DRIVER.format(
        name=program.name,
        parameters=", ".join(parameters),
        counters=" ".join(f"int32_t n{k} = 0;" for k, _ in outputs),
        buffers="\n        ".join(f"{p.format.ctype} now{k}[{p.size}];" for k, p in outputs),
        call=counted if program.returns else f"{call}; wrote = 1;",
        stores=stores,
        flush=flush,
        checks=" ".join(f"wrong += n{k} != limits[{k}];" for k, _ in outputs),
        blob=blob_length(program),
        digest=" ".join(c_digest(program)),
    )


def _step_by_step(program: Program, frame: list[str], counted: str) -> str:
    """C that takes every other answer of a lane one value a call."""
    ports, n = list(enumerate(program.outputs)), program.name
    at = ", ".join(f"now{k} + i * {p.size // p.ticks}" for k, p in ports)
    left = f"wrote = {n}_step(&s, {', '.join([*frame, *['0' for _ in ports]])}); wrong += wrote != ({_due(program)});"
    steps, again = program.outputs[0].ticks, ", ".join(f"now{k}" for k, _ in ports)
    rest = f"int i = 0; while (i < {steps} && {n}_next(&s, {at})) {{ i++; }} wrong += i < {steps} || {n}_next(&s, {again});"
    return f"if ((t / {program.qnet.net.every} + lane) % 2) {{ {left} if (wrote) {{ {rest} }} }} else {{ {counted} }}"


def _store(program: Program, k: int, port: Port) -> str:
    """Keep output k where the last call wrote it, as long as values are expected."""
    condition = f"wrote & {1 << k}" if program.apart else "wrote"
    to = f"out{k} + ((size_t)n{k} * (size_t)lanes + (size_t)lane) * {port.size}"
    return f"if ({condition}) {{ if (n{k} < limits[{k}]) {{ memcpy({to}, now{k}, sizeof now{k}); }} n{k}++; }}"


def _due(program: Program) -> str:
    """What step must return at step t, by the clocks of the outputs."""
    if program.window:
        net = program.qnet.net
        return f"t + 1 >= {net.window} && (t + 1 - {net.window}) % {net.every} == 0"
    due = [f"(t >= {p.clock.phase} && (t - {p.clock.phase}) % {p.clock.rate} == 0)" for p in program.outputs]
    return " | ".join(f"({d} ? {1 << k} : 0)" for k, d in enumerate(due)) if program.apart else due[0]
