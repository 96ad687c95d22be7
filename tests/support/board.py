"""A board on a serial line that is none: a program that serves a network on a pseudo-terminal, with noise on demand."""

from __future__ import annotations

import os
import random
import select
import subprocess
import threading
import tty
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

HOST_MAIN = """
#include <stdio.h>
#include <time.h>
{streams}

static int get(void)
{{
    return getchar();
}}

static void put(int byte)
{{
    putchar(byte);
    fflush(stdout);
}}

static uint32_t ticks(void)
{{
    static uint32_t now;
    return now += 1000;
}}

int main(void)
{{
    while ({served}) {{
    }}
    return 0;
}}
"""
"""A board that is this machine; a step takes 1,000 ticks."""


def host_main(names: Sequence[str], counter: str) -> str:
    """The main.c of a board that serves these networks."""
    calls = [f'{n}_serve(&{n}_stream, get, put, ticks, "{counter}", 1000000u)' for n in names]
    streams = "".join(f'#include "{n}.h"\nstatic {n}_t {n}_stream;\n' for n in names)
    return HOST_MAIN.format(streams=streams, served=" && ".join(calls))


class Noise:
    """Damages a share of the bytes: changed, lost, or doubled; the same ones for the same seed."""

    def __init__(self, share: float, seed: int) -> None:
        self.share, self.random = share, random.Random(seed)
        self.damaged = 0

    def __call__(self, data: bytes) -> bytes:
        result = bytearray()
        for byte in data:
            if self.random.random() >= self.share:
                result.append(byte)
                continue
            self.damaged += 1
            result += self.random.choice((bytes([byte ^ (1 << self.random.randrange(8))]), b"", bytes([byte, byte])))
        return bytes(result)


class PseudoBoard:
    """A program whose stdin and stdout are a serial line; a context manager that gives the device's name."""

    def __init__(self, command: Sequence[str | Path], folder: Path, noise: float = 0.0, seed: int = 0) -> None:
        self.command, self.folder = [str(word) for word in command], folder
        self.noise = [Noise(noise, seed), Noise(noise, seed + 1)]

    def __enter__(self) -> str:
        self._line, device = os.openpty()
        tty.setraw(device)
        self._device = device
        pipe = subprocess.PIPE
        self.process = subprocess.Popen(
            self.command, cwd=self.folder, stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL
        )
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._relay)
        self._thread.start()
        return os.ttyname(device)

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self._thread.join()
        self.process.kill()
        self.process.communicate()
        os.close(self._line)
        os.close(self._device)

    def _relay(self) -> None:
        stdin, stdout = self.process.stdin, self.process.stdout
        assert stdin and stdout
        to, of = stdin.fileno(), stdout.fileno()
        sources = {self._line: (to, self.noise[0]), of: (self._line, self.noise[1])}
        for target in (to, self._line):
            os.set_blocking(target, False)
        while not self._end.is_set():
            for source in select.select(list(sources), [], [], 0.05)[0]:
                target, noise = sources[source]
                try:
                    data = os.read(source, 4096)
                    self._pass_on(target, noise(data))
                except OSError:
                    return
                if not data:
                    del sources[source]

    def _pass_on(self, target: int, data: bytes) -> None:
        """Write all, unless the end comes first: nobody may read any more."""
        while data and not self._end.is_set():
            if select.select([], [target], [], 0.05)[1]:
                with suppress(BlockingIOError):
                    data = data[os.write(target, data) :]
