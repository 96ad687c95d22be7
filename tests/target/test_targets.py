"""The same bits everywhere: every target's package on this machine, in its emulator, and on a big-endian machine."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rnnc.activations import RELU, SIGMOID, TANH, Activation
from rnnc.backend.emit import Golden
from rnnc.backend.emit.spelling import statement
from rnnc.backend.lower import lower
from rnnc.backend.targets import TARGETS
from rnnc.errors import NoRoom, Refused
from rnnc.net import Net, Output, Value
from rnnc.ops.dense import Dense
from rnnc.ops.gru import Gru
from rnnc.ops.rnn import Rnn
from rnnc.qnet import QNet
from rnnc.streams import run_qnet
from rnnc.tracing import InitialState
from rnnc.verification.bench import bench
from rnnc.verification.boards import BOARDS
from rnnc.verification.emulator import TargetMeasurement, measure, missing_tools
from rnnc.verification.locate_board import locate_on_board
from tests.conftest import require
from tests.support.nets import LAYERS, draw_integers, integers, to_integers
from tests.support.packages import check_together, package
from tests.support.plants import PLANT, TICK, planted

SHORT_SEEDS = range(len(LAYERS))
"""One network for each layer."""
LONG_SEEDS = range(100, 160)
FEW = (0, 1, 2)
STEPS = 16
PACKINGS = {t.isa: name for name, t in TARGETS.items()}
"""A target for each packing."""
PLATFORMS = [*(name for name in TARGETS if name in BOARDS), "powerpc"]


def need(board: str) -> None:
    for tool in missing_tools(BOARDS[board]):
        require(tool)


@cache
def network(seed: int):  # type: ignore[no-untyped-def]
    return draw_integers(seed, (list(LAYERS)[seed],) if seed < len(LAYERS) else ())


def on_board(seed: int, board: str) -> TargetMeasurement:
    target = board if board in TARGETS else list(TARGETS)[seed % len(TARGETS)]
    program, files = package(network(seed), target=target, steps=STEPS)
    return measure(program, files, BOARDS[board])


def difference(seed: int, board: str) -> str:
    """What of a network differs on a board: to be looked at where a test fails."""
    qnet = network(seed)
    program, files = package(qnet, target=board if board in TARGETS else "portable", steps=STEPS)
    return locate_on_board(program, files, vectors(qnet), BOARDS[board])


def vectors(qnet: QNet, steps: int = STEPS) -> Golden:
    """What ``package`` makes the self-test of."""
    inputs = integers(qnet, steps)
    return Golden({k: v[:, 0] for k, v in inputs.items()}, {k: v[:, 0] for k, v in run_qnet(qnet, inputs).items()})


def check(seed: int, board: str) -> None:
    measured = on_board(seed, board)
    assert measured.equal, f"network {seed} on {board}: {difference(seed, board)}"
    if measured.stack_bound is not None and BOARDS[board].counts:
        assert measured.stack <= measured.stack_bound
    if BOARDS[board].counts:
        cost, found = lower(network(seed), board).cost, measured.footprint
        assert (found.tables, found.weights) <= (cost.flash_tables, cost.flash_weights)


@pytest.mark.target
@pytest.mark.parametrize("board", ["cortex-m4", "cortex-m0", "rv32imc", "avr"])
@pytest.mark.parametrize("activations", [(TANH,), (RELU,), (SIGMOID, TANH), (TANH, TANH)])
def test_tables_are_those_that_are_read(board: str, activations: tuple[Activation, ...]) -> None:
    """Also with two layers of a kind, which a compiler does not take apart by itself."""
    need(board)
    layers = tuple(
        Rnn(f"rnn{k}", (f"v{k}",), (f"v{k + 1}",), np.eye(4), np.eye(4) / 4, np.zeros(4), InitialState(np.zeros(4)), f)
        for k, f in enumerate(activations)
    )
    net = Net("layers", (Value("v0", (4,)),), layers, (Output("y", f"v{len(layers)}"),))
    program, files = package(to_integers(net), target=board, steps=4)
    measured = measure(program, files, BOARDS[board])
    assert measured.equal
    assert measured.footprint.tables == program.cost.flash_tables
    assert measured.footprint.weights == program.cost.flash_weights


@pytest.mark.target
@pytest.mark.parametrize("board", PLATFORMS)
def test_a_few_networks_on_every_target(board: str) -> None:
    need(board)
    for seed in FEW:
        check(seed, board)


@pytest.mark.target
def test_a_core_without_sdot_gives_the_same_bits_by_neon_alone() -> None:
    """Found at run time: the same program, on an older core."""
    need("aarch64")
    older = replace(BOARDS["aarch64"], emulator=("qemu-aarch64", "-cpu", "cortex-a57"))
    for seed in FEW:
        program, files = package(network(seed), target="aarch64", steps=STEPS)
        with_dot, without = (measure(program, files, board) for board in (BOARDS["aarch64"], older))
        assert with_dot.equal and without.equal
        assert with_dot.instructions and without.instructions
        assert with_dot.instructions.most < without.instructions.most


@pytest.mark.target
@pytest.mark.parametrize("board", ["cortex-m4", "avr", "powerpc"])
def test_what_differs_on_a_board_is_told_with_its_op_step_and_element(board: str) -> None:
    need(board)
    qnet = draw_integers(0, ("gru_after", "dense"))
    program, files = package(qnet, target=board if board in TARGETS else "portable", steps=STEPS)
    place = next(p for p in program.computed if p.op.startswith("dense"))
    wrong = planted(program, files, place, 2)
    assert not measure(program, wrong, BOARDS[board]).equal
    found = locate_on_board(program, wrong, vectors(qnet), BOARDS[board])
    assert found.startswith(f"{place.op} (Dense") and f"value '{place.value}', element 2: C " in found, found
    assert found.endswith(f"step {TICK} of the self-test")
    assert locate_on_board(program, files, vectors(qnet), BOARDS[board]) == ""


@pytest.mark.target
@pytest.mark.parametrize("board", ["cortex-m4", "avr", "powerpc"])
def test_a_state_that_differs_on_a_board_is_told_before_any_value_does(board: str) -> None:
    """A GRU's 32-bit state: its upper half, which it answers, differs a step later."""
    need(board)
    qnet = draw_integers(0, ("gru_after", "dense"))
    program, files = package(qnet, target=board if board in TARGETS else "portable", steps=STEPS)
    op = qnet.ops[0]
    state = next(s for s in op.states() if s.name.endswith("_s"))
    text, name = statement(program, next(c for c in program.calls if c.op == op.name)), f"{program.name}.c"
    plant = PLANT.format(ctype="int32_t", tick=TICK, element=1, bit=1 << 14)
    wrong = {**files, name: plant + files[name].replace(text, f"{text}\nplanted(s->{state.name});")}
    found = locate_on_board(program, wrong, vectors(qnet), BOARDS[board])
    assert found.startswith(f"{op.name} (GRU") and f"state {state.name!r}, element 1: C " in found, found
    assert found.endswith(f"step {TICK} of the self-test")


@pytest.mark.slow
@pytest.mark.target
@pytest.mark.parametrize("board", PLATFORMS)
@pytest.mark.parametrize("seed", [*SHORT_SEEDS, *LONG_SEEDS])
def test_many_networks_on_every_target(board: str, seed: int) -> None:
    need(board)
    check(seed, board)


@pytest.mark.parametrize("target", PACKINGS.values())
def test_every_target_s_package_runs_here(target: str, tmp_path: Path) -> None:
    """By the plain-C reading of its packing, without a warning; targets of one packing have the same C."""
    alike = [other for other, t in TARGETS.items() if t.isa == TARGETS[target].isa and other != target]
    built = [package(network(seed), target=target, steps=STEPS) for seed in SHORT_SEEDS]
    check_together(built, tmp_path)
    for other in alike:
        for seed, (_, files) in zip(SHORT_SEEDS, built, strict=True):
            assert statements(package(network(seed), target=other, steps=STEPS)[1]) == statements(files)


def statements(files: Mapping[str, str]) -> dict[str, str]:
    """A package's C without its comments."""
    return {name: re.sub(r"/\*.*?\*/", "", text, flags=re.S) for name, text in files.items()}


@pytest.mark.target
@pytest.mark.parametrize("board", ["cortex-m55", "avr"])
def test_many_outputs_do_not_reach_into_the_painted_stack(board: str) -> None:
    """Their addresses lie on the stack, in the frame of the caller that paints what is below it."""
    need(board)
    heads = tuple(Dense(f"d{k}", ("x",), (f"y{k}",), np.eye(2), np.zeros(2), shape=(2,)) for k in range(16))
    net = Net("many", (Value("x", (2,)),), heads, tuple(Output(f"y{k}", f"y{k}") for k in range(16)))
    program, files = package(to_integers(net), target=board, steps=4)
    measured = measure(program, files, BOARDS[board])
    assert measured.equal and measured.stack_bound
    assert 0 < measured.stack <= measured.stack_bound


def wide(rows: int, columns: int) -> QNet:
    """A Dense of so many weights."""
    layer = Dense("d", ("x",), ("y",), np.ones((rows, columns)), np.zeros(rows), shape=(rows,))
    return to_integers(Net("wide", (Value("x", (columns,)),), (layer,), (Output("y", "y"),)))


@pytest.mark.target
def test_a_part_that_is_too_small_is_told_and_left_out_unless_asked_for() -> None:
    need("avr")
    need("cortex-m0")
    qnet, told = wide(200, 200), list[str]()
    vectors = Golden({"x": np.zeros((2, 200), np.int64)}, {"y": np.zeros((2, 200), np.int64)})
    results = bench(qnet, "wide", vectors, ["avr", "cortex-m0"], told.append, skip=True)
    assert [r["target"] for r in results] == ["cortex-m0"] and results[0]["c_equals_oracle"]
    assert any("left out: target avr: the array wide_d_w needs 40000 B" in line for line in told)
    with pytest.raises(Refused, match="40000 B"):
        bench(qnet, "wide", vectors, ["avr"], told.append)


@pytest.mark.target
def test_what_a_small_machine_does_not_hold_runs_on_a_larger_one_of_its_core() -> None:
    need("cortex-m0")
    program, files = package(wide(600, 600), target="cortex-m0", steps=2)
    assert not BOARDS["cortex-m0"].holds(program.cost.flash_weights, 0)
    assert measure(program, files).equal
    with pytest.raises(NoRoom, match=f"{program.cost.flash_weights} B of constants"):
        measure(program, files, replace(BOARDS["cortex-m0"], larger=None))


@pytest.mark.target
def test_a_small_gru_lives_in_half_a_kilobyte_of_an_avr() -> None:
    need("avr")
    rng = np.random.default_rng(3)

    def draw(*shape: int) -> np.ndarray[Any, Any]:
        return rng.uniform(-0.25, 0.25, shape)

    initial = InitialState(np.zeros(16))
    gru = Gru("gru0", ("x",), ("h",), draw(3, 16, 6), draw(3, 16, 16), draw(3, 16), draw(3, 16), initial, True)
    dense = Dense("dense0", ("h",), ("y",), draw(3, 16), draw(3), shape=(3,))
    net = Net("small", (Value("x", (6,)),), (gru, dense), (Output("y", "y"),))
    program, files = package(to_integers(net), target="avr", steps=STEPS)
    measured = measure(program, files, BOARDS["avr"])
    assert measured.equal
    assert measured.stack_bound is not None
    assert measured.footprint.ram_state + measured.footprint.ram_scratch + measured.stack_bound <= 512
