"""A network on a board that is connected by a serial line: frames out, outputs and the time of each step in.

The board runs NAME_serve of the package (runtime_c/serial.h). A request is sent again until its answer comes undamaged; its
number keeps the board from stepping twice.
"""

from __future__ import annotations

import random
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from rnnc.backend.emit.serial import frame_bytes
from rnnc.backend.identity import model_id
from rnnc.backend.program import Port, Program
from rnnc.errors import MissingTool, VerificationError
from rnnc.net import Array
from rnnc.verification.packets import Decoder, Packet
from rnnc.verification.serial_line import SerialLine

PROTOCOL = 2
GREETING_SECONDS = 10.0
"""How long a board may take to answer first: opening the port resets many."""
STEP_SECONDS = 30.0
"""How long a request may take in all, with what is sent again."""
PATIENCE = 1.0
"""Seconds until a request is sent again, at first; then four times the longest answer, if that is more than LEAST_PATIENCE."""
LEAST_PATIENCE = 0.25
QUIET = 0.003
"""Seconds of silence after damage before a request is sent again, beside 20 bytes' time."""
CYCLES = ("DWT", "SysTick", "TIMER0", "mcycle", "Timer1", "CCOUNT")
"""Counters that count the clock cycles of the core; the others have a clock of their own."""
FLASH = "Flash the board with the firmware that serves it: docs/firmware.md, A board in the loop."


@dataclass(frozen=True)
class Greeting:
    """What the firmware says of itself: its network, the package's version, and its counter with its rate (0: not known)."""

    model: int
    name: str
    version: str
    counter: str
    hertz: int

    @property
    def counts_cycles(self) -> bool:
        """Whether a tick of the counter is a clock cycle of the core."""
        return self.counter in CYCLES


@dataclass(frozen=True)
class Answer:
    """What a step gave: the counter's ticks that it took, what it returned, and the outputs, ``[size]`` each."""

    ticks: int
    wrote: int
    outputs: tuple[Array, ...]


class BoardLine:
    """A board that serves a network.

    Raises MissingTool where nothing answers, or something that is no firmware of rnnc; VerificationError where it serves
    another network.
    """

    def __init__(self, program: Program, line: SerialLine) -> None:
        self.program, self.line = program, line
        self.repeated = 0
        """Requests that were sent again."""
        self._decoder = Decoder()
        self._number = random.getrandbits(16)
        self._patience = PATIENCE
        self._heard = False
        self.greeting = self._greet()

    def reset(self) -> None:
        """Start a new stream."""
        self._ask("R", b"", "r")

    def step(self, inputs: Mapping[str, Array]) -> Answer:
        """One step over the integers ``[*shape]`` of each input."""
        frame = b"".join(_bytes(p, inputs[p.name]) for p in self.program.inputs)
        return self._answer(self._ask("S", frame, "a"))

    def flush(self) -> Answer:
        """A call of NAME_flush; ``wrote`` is 0 where nothing is owed any more."""
        return self._answer(self._ask("F", b"", "a"))

    def _answer(self, content: bytes) -> Answer:
        ticks, wrote = (int.from_bytes(content[k : k + 4], "little") for k in (0, 4))
        outputs, at = [], 8
        for p in self.program.outputs:
            array = np.frombuffer(content, _little(p), p.size, at)
            at += array.nbytes
            outputs.append(array.astype(np.int64))
        return Answer(ticks, wrote, tuple(outputs))

    def _greet(self) -> Greeting:
        """What this network says of itself; another of the same firmware is asked to let it."""
        self.line.drain(QUIET)
        p, others = self.program, list[Greeting]()
        own = (model_id(p.qnet), frame_bytes(p.inputs), frame_bytes(p.outputs))
        while True:
            found, *sizes = self._hello()
            if (found.model, *sizes) == own:
                return found
            if found in others:
                raise self._another(others)
            others.append(found)
            self._ask("O", found.model.to_bytes(4, "little"), "o")

    def _hello(self) -> tuple[Greeting, int, int]:
        """What the network that is served says of itself, and the bytes of its inputs and outputs."""
        try:
            content = self._ask("H", b"", "h", GREETING_SECONDS)
        except VerificationError:
            if self._heard:
                what = f"what answers on {self.line.device} is not the firmware of a network, or not at {self.line.baud} baud"
            else:
                what = f"nothing answers on {self.line.device} for {GREETING_SECONDS:.0f} s"
            raise MissingTool(what, hint=f"{FLASH} Its rate is given by --baud.") from None
        model, inputs, outputs, hertz = (int.from_bytes(content[k : k + 4], "little") for k in (1, 5, 9, 13))
        name, version, counter = (text.decode("ascii", "replace") for text in content[17:].split(b"\0")[:3])
        if content[0] != PROTOCOL:
            raise MissingTool(
                f"the firmware on {self.line.device} speaks protocol {content[0]}, this rnnc {PROTOCOL}", hint=FLASH
            )
        return Greeting(model, name, version, counter, hertz), inputs, outputs

    def _another(self, others: Sequence[Greeting]) -> VerificationError:
        """The board's networks are others."""
        p = self.program
        found = " and ".join(f"{g.name} {g.version}, {g.name.upper()}_MODEL_ID 0x{g.model:08x}" for g in others)
        what = "runs another network" if len(others) == 1 else "runs other networks"
        return VerificationError(
            f"the board on {self.line.device} {what}: {found}; this is {p.name}, 0x{model_id(p.qnet):08x}",
            hint="Flash this one, or give the model, data and options that the board's was compiled with: they stand at the "
            "head of its C.",
        )

    def _ask(self, kind: str, content: bytes, answer: str, seconds: float = STEP_SECONDS) -> bytes:
        """The content of the answer to a request."""
        self._number = (self._number + 1) & 0xFFFF
        sent = Packet(kind, self._number, content).encoded()
        begun, first = time.monotonic(), True
        while first or time.monotonic() - begun < seconds:
            self.repeated += not first
            first = False
            self.line.write(sent)
            found = self._await(answer, self._patience + self.line.seconds(len(sent)))
            if found is not None:
                return found
            self.line.drain(QUIET + self.line.seconds(20))
            self._decoder.forget()
        raise VerificationError(
            f"the board on {self.line.device} answers no more", hint="Was it reset, or has it crashed?"
        )

    def _await(self, answer: str, seconds: float) -> bytes | None:
        """The content of the answer to the last request; None where it does not come, or damaged."""
        begun = time.monotonic()
        while (left := begun + seconds - time.monotonic()) > 0:
            data = self.line.read(left)
            self._heard |= bool(data)
            for packet in self._decoder.take(data):
                if packet is None or packet.type == "d":
                    return None
                if packet.number != self._number:
                    continue
                if packet.type == "l":
                    raise VerificationError(
                        f"the board on {self.line.device} has started anew, in the middle of a sequence",
                        hint="Does a watchdog reset it, or its supply fail? A step must end before a watchdog expires.",
                    )
                if packet.type == answer:
                    took = time.monotonic() - begun
                    self._patience = max(LEAST_PATIENCE, 4 * took, 0.9 * self._patience)
                    return packet.content
        return None


def _little(port: Port) -> np.dtype[Any]:
    return np.dtype(port.format.ctype.removesuffix("_t")).newbyteorder("<")


def _bytes(port: Port, values: Array) -> bytes:
    return np.asarray(values).reshape(port.size).astype(_little(port)).tobytes()
