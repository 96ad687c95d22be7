"""NAME_next: the answer of a window one value a call, in the bits that step gives at once, on any split and after a restore."""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import rnnc
from rnnc.files import write_files
from rnnc.net import Array
from rnnc.report.terminal import summary
from rnnc.verification.host import blob_length, build
from tests.support.windows import KINDS, T

ONE = "autoencoder"
VALUES, FEATURES = 3, 3


@pytest.fixture(scope="module")
def package() -> rnnc.Package:
    return rnnc.compile_model(KINDS[ONE](), window=T, name="net")


@pytest.fixture(scope="module")
def library(package: rnnc.Package, tmp_path_factory: pytest.TempPathFactory) -> ctypes.CDLL:
    folder: Path = tmp_path_factory.mktemp("next")
    write_files(folder, package.files)
    build(folder, folder / "net.so", ["net.c", "net_state.c"], "-shared", "-fPIC")
    return ctypes.CDLL(str(folder / "net.so"))


class Running:
    """A stream of the C."""

    def __init__(self, library: ctypes.CDLL, package: rnnc.Package) -> None:
        cost = package.program.cost
        self.library, self.blob = library, (ctypes.c_uint8 * blob_length(package.program))()
        self.state = ctypes.create_string_buffer(2 * (cost.ram_state + cost.ram_scratch) + 64)
        library.net_reset(self.state)

    def step(self, frame: Array, at_once: bool) -> Array | None:
        """An answer, where there is one; empty where it is left to ``next``."""
        x, y = np.ascontiguousarray(frame, np.int16), np.zeros((T, VALUES), np.int16)
        given = ctypes.c_void_p(y.ctypes.data) if at_once else None
        wrote = self.library.net_step(self.state, ctypes.c_void_p(x.ctypes.data), given)
        return None if not wrote else y if at_once else y[:0]

    def rest(self) -> Iterator[Array]:
        """The values of an answer, one after the other."""
        y = np.zeros(VALUES, np.int16)
        while self.library.net_next(self.state, ctypes.c_void_p(y.ctypes.data)):
            yield y.copy()

    def restored(self) -> None:
        """Save, ruin and restore."""
        self.library.net_save(self.state, self.blob)
        ctypes.memset(self.state, 0x5A, len(self.state))
        assert self.library.net_restore(self.state, self.blob, ctypes.c_size_t(len(self.blob))) == 0


def frames(seed: int = 0) -> Array:
    return np.random.default_rng(seed).integers(-8000, 8000, (T, FEATURES))


def answers(running: Running, *windows: Array) -> list[Array]:
    """Of windows, each at once."""
    found = [running.step(frame, at_once=True) for window in windows for frame in window]
    return [y for y in found if y is not None]


def test_value_by_value_is_the_same_as_at_once(library: ctypes.CDLL, package: rnnc.Package) -> None:
    running = Running(library, package)
    (whole,) = answers(running, frames())
    assert not list(running.rest()), "nothing is left of an answer that was given at once"
    for frame in frames()[:-1]:
        assert running.step(frame, at_once=False) is None and not list(running.rest())
    assert running.step(frames()[-1], at_once=False) is not None
    assert np.array_equal(list(running.rest()), whole) and not list(running.rest())


def test_a_state_is_restored_in_the_middle_of_an_answer(library: ctypes.CDLL, package: rnnc.Package) -> None:
    running = Running(library, package)
    whole, after = answers(running, frames(), frames(1))
    for frame in frames():
        running.step(frame, at_once=False)
    rest = running.rest()
    found = [next(rest), next(rest)]
    running.restored()
    assert np.array_equal([*found, *running.rest()], whole)
    assert np.array_equal(answers(running, frames(1))[0], after)


def test_a_frame_gives_up_what_is_left_of_an_answer(library: ctypes.CDLL, package: rnnc.Package) -> None:
    running = Running(library, package)
    _, after = answers(running, frames(), frames(1))
    for frame in frames():
        running.step(frame, at_once=False)
    next(running.rest())
    assert np.array_equal(answers(running, frames(1))[0], after)


def test_what_each_call_costs_is_told(package: rnnc.Package) -> None:
    answer = package.report["cost"]["windows"]["answer"]
    encoder, decoder = 16 * (3 + 4), 16 * (4 + 4) + 4 * 3
    assert answer == {"values": T, "macs_frame": encoder, "macs_next": decoder, "macs_at_once": encoder + T * decoder}
    header = package.files["net.h"]
    assert isinstance(header, str)
    assert "int net_next(net_t *s, int16_t y[NET_Y_LEN / " in header and f"{decoder} multiply-accumulates" in header
    assert "NAME_next" in summary(package.report, package.program)


@pytest.mark.parametrize(
    ("kind", "continues"), [("decoder_of_the_end", True), ("many_to_one", False), ("forecast", False)]
)
def test_only_answers_of_several_values_have_it(kind: str, continues: bool) -> None:
    """Not a last value alone, and not one beside several."""
    package = rnnc.compile_model(KINDS[kind](), window=T, name="net", verify=continues)
    assert ("net_next" in str(package.files["net.h"])) == continues
    assert not continues or package.report["verify"]["c_equals_oracle"]
