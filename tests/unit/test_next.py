"""NAME_next: the answer of a window one value a call, in the bits that step gives at once, on any split and after a restore."""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import numpy as np
import pytest

import rnnc
from rnnc.files import write_files
from rnnc.net import Array
from rnnc.report.terminal import summary
from rnnc.verification.host import blob_length, build
from tests.support.windows import KINDS, T, autoencoder

HOP, VALUES = 5, 3
FORMS = {"one after the other": (3, T), "frames kept": (3, HOP), "states kept": (24, HOP)}
"""Features of a frame, and frames from one answer to the next."""


@pytest.fixture(scope="module", params=FORMS)
def package(request: pytest.FixtureRequest) -> rnnc.Package:
    features, hop = FORMS[request.param]
    package = rnnc.compile_model(autoencoder(features), window=T, hop=hop, name="net")
    overlap = package.program.overlap
    assert (overlap and bool(overlap.rings)) == {"frames kept": True, "states kept": False}.get(request.param)
    return package


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


def frames(package: rnnc.Package) -> Array:
    """Those of three answers."""
    program = package.program
    steps = T + 2 * program.qnet.net.every
    return np.random.default_rng(0).integers(-8000, 8000, (steps, program.inputs[0].size))


def answers(running: Running, stream: Array) -> list[Array]:
    """Each at once."""
    found = [running.step(frame, at_once=True) for frame in stream]
    return [y for y in found if y is not None]


def test_value_by_value_is_the_same_as_at_once(library: ctypes.CDLL, package: rnnc.Package) -> None:
    stream, running = frames(package), Running(library, package)
    whole = answers(running, stream)
    assert len(whole) == 3 and not list(running.rest()), "nothing is left of an answer that was given at once"
    running, found = Running(library, package), []
    for frame in stream:
        due = running.step(frame, at_once=False) is not None
        values = list(running.rest())
        assert len(values) == (T if due else 0) and not list(running.rest())
        found += [values] if due else []
    assert np.array_equal(found, whole)


def test_a_state_is_restored_in_the_middle_of_an_answer(library: ctypes.CDLL, package: rnnc.Package) -> None:
    stream = frames(package)
    first, *others = answers(Running(library, package), stream)
    running = Running(library, package)
    for frame in stream[:T]:
        running.step(frame, at_once=False)
    rest = running.rest()
    found = [next(rest), next(rest)]
    running.restored()
    assert np.array_equal([*found, *running.rest()], first)
    assert np.array_equal(answers(running, stream[T:]), others)


@pytest.mark.parametrize("taken", [0, 1, T])
def test_a_frame_gives_up_what_is_left_of_an_answer(library: ctypes.CDLL, package: rnnc.Package, taken: int) -> None:
    """Those that come later are what they would be: also where it is the frame with which the next window ends."""
    stream = frames(package)
    _, *others = answers(Running(library, package), stream)
    running = Running(library, package)
    for frame in stream[:T]:
        running.step(frame, at_once=False)
    assert len(list(islice(running.rest(), taken))) == taken
    assert running.step(stream[T], at_once=False) is None and not list(running.rest())
    assert np.array_equal(answers(running, stream[T + 1 :]), others)


def test_what_each_call_costs_is_told(package: rnnc.Package) -> None:
    answer, program = package.report["cost"]["windows"]["answer"], package.program
    at_once = -(-T // program.qnet.net.every)
    encoder, decoder = at_once * 16 * (program.inputs[0].size + 4), 16 * (4 + 4) + 4 * 3
    assert answer == {"values": T, "macs_frame": encoder, "macs_next": decoder, "macs_at_once": encoder + T * decoder}
    header = package.files["net.h"]
    assert isinstance(header, str)
    assert "int net_next(net_t *s, int16_t y[NET_Y_LEN / " in header and f"{decoder} multiply-accumulates" in header
    assert "NAME_next" in summary(package.report, package.program)


def test_a_window_may_end_with_every_frame() -> None:
    """The self-test and the driver leave every other answer to NAME_next; all have the oracle's bits."""
    package = rnnc.compile_model(autoencoder(), window=T, hop=1, name="net")
    assert package.program.continues and package.report["verify"]["c_equals_oracle"]


@pytest.mark.parametrize(
    ("kind", "continues"), [("decoder_of_the_end", True), ("many_to_one", False), ("forecast", False)]
)
def test_only_answers_of_several_values_have_it(kind: str, continues: bool) -> None:
    """Not a last value alone, and not one beside several."""
    package = rnnc.compile_model(KINDS[kind](), window=T, name="net", verify=continues)
    assert ("net_next" in str(package.files["net.h"])) == continues
    assert not continues or package.report["verify"]["c_equals_oracle"]
