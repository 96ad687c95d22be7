"""Where the C leaves the oracle: faults planted in the C are told with their op, value or state, step and element."""

from __future__ import annotations

import re

import pytest

from rnnc.backend.emit.spelling import statement
from rnnc.backend.program import Program
from rnnc.qnet import QNet
from rnnc.verification.batches import Batch
from rnnc.verification.host import OracleRun, run_oracle
from rnnc.verification.locate import locate, visible
from rnnc.verification.verify import compare_c
from tests.support.nets import LAYERS, draw_integers, in_windows, noise
from tests.support.packages import package
from tests.support.plants import PLANT, TICK, planted

STEPS = 40


def oracle_run(qnet: QNet, lanes: int = 2) -> OracleRun:
    inputs = noise(qnet.net, STEPS, lanes=lanes)
    return run_oracle(qnet, Batch([*range(lanes)], [STEPS] * lanes, inputs))


@pytest.mark.parametrize("layer", LAYERS)
def test_a_flipped_bit_is_told_with_its_op_value_step_and_element(layer: str) -> None:
    qnet = draw_integers(list(LAYERS).index(layer), (layer,))
    program, files = package(qnet)
    place = max(program.computed, key=lambda p: (p.op.startswith(layer), qnet.values[p.value].size))
    assert place in visible(program)
    value, tick = qnet.values[place.value], 1 if qnet.net.window else TICK
    element = value.size - 1
    found = locate(program, planted(program, files, place, element, tick), oracle_run(qnet), 1)
    assert re.match(rf"{place.op} \(.*\) differs first: value '{place.value}', element {element}: C ", found), found
    step = value.clock.phase + (tick - 1) * max(value.clock.rate, 1) + 1
    assert qnet.net.window or f", step {step} of sequence 1" in found, found


def test_an_equal_package_has_no_first_difference() -> None:
    for layer in ("lstm", "skip", "backward"):
        qnet = draw_integers(list(LAYERS).index(layer), (layer,))
        program, files = package(qnet)
        assert locate(program, files, oracle_run(qnet), 0) == ""


def told(program: Program, files: dict[str, str], run: OracleRun) -> str:
    """What ``verify`` says."""
    return compare_c(program, files, [run])


def test_a_state_is_told_where_no_value_differs_yet() -> None:
    """A GRU's 32-bit state: h, its upper half, differs a step later."""
    qnet = draw_integers(list(LAYERS).index("gru_after"), ("gru_after",))
    program, files = package(qnet)
    state = next(s for s in qnet.ops[-1].states() if s.name.endswith("_s"))
    call = next(c for c in program.calls if c.op == qnet.ops[-1].name)
    text, name = statement(program, call), f"{program.name}.c"
    plant = PLANT.format(ctype="int32_t", tick=7, element=1, bit=1 << 14)
    around = f"{text}\nplanted(s->{state.name});"
    found = told(program, {**files, name: plant + files[name].replace(text, around)}, oracle_run(qnet, 1))
    assert f"differs first: state {state.name!r}, element 1: C " in found and "step 7 of sequence 0" in found, found
    assert (
        found.startswith(f"{qnet.ops[-1].name} (GRU") and "It shows in the states of sequence 0 after step 7" in found
    )


def test_a_state_that_the_graph_feeds_back_is_told_with_the_op_that_gives_it() -> None:
    for seed in range(40):
        qnet = draw_integers(seed, ("custom",))
        program, files = package(qnet)
        feedback, name = qnet.feedback[0], f"{program.name}.c"
        member = next(m for m in program.members if m.state is feedback.state)
        copy = re.search(rf"(memcpy|rnnc_copy)\(s->{member.c_name}, .*\);", files[name])
        if copy:  # not where the next state is computed in place of the old one
            break
    assert copy
    plant = PLANT.format(ctype=feedback.state.format.ctype, tick=3, element=0, bit=1)
    changed = files[name].replace(copy.group(), f"{copy.group()} planted(s->{member.c_name});")
    found = told(program, {**files, name: plant + changed}, oracle_run(qnet, 1))
    producer = next(op for op in qnet.ops if feedback.next in op.outputs)
    assert found.startswith(producer.name) and f"state {feedback.state.name!r}, element 0" in found, found
    assert "step 3 of sequence 0" in found


@pytest.mark.parametrize("columns", [1, 40])
def test_a_state_of_windows_that_overlap_is_told_with_its_window_and_step(columns: int) -> None:
    """With frames that are kept, and with states for each window that is under way."""
    qnet = in_windows(("conv", "gru_after"), 4, columns)
    program, files = package(qnet)
    op = next(o for o in qnet.ops if o.name.startswith("gru"))
    state = next(s for s in op.states() if s.name.endswith("_s"))
    found = told(
        program, with_plant(program, files, op.name, f"w->{state.name}", "int32_t", 1 << 14), oracle_run(qnet, 1)
    )
    assert found.startswith(f"{op.name} (GRU") and f"state {state.name!r}, element 0: C " in found, found
    assert re.search(r", step \d+ of the window that begins at step \d+ of sequence 0. It shows in ", found), found


def test_a_fault_in_how_windows_are_kept_is_told_as_such() -> None:
    qnet = in_windows(("gru_after",), 4, 1)
    program, files = package(qnet)
    assert program.overlap and program.overlap.rings
    name = f"{program.name}.c"
    wrong = files[name].replace("s->at + 1 <", "s->at + 2 <")
    assert wrong != files[name]
    found = told(program, {**files, name: wrong}, oracle_run(qnet, 1))
    assert "no value or state differs" in found and "in how windows are kept" in found, found


@pytest.mark.parametrize("hop", [-1, 0, 4])
def test_a_delay_line_is_told_with_its_element(hop: int) -> None:
    """In an endless stream, in windows that look ahead, and in windows that overlap besides."""
    layers = ("gru_after", "skip")
    qnet = draw_integers(0, layers) if hop < 0 else in_windows(layers, hop)
    program, files = package(qnet)
    op = next(o for o in qnet.ops if o.elastic)
    queue = op.states()[0]
    of = "w" if program.overlap else "s"
    plants = with_plant(program, files, op.name, f"{of}->{queue.name}", queue.format.ctype, 1)
    found = told(program, plants, oracle_run(qnet, 1))
    assert found.startswith(f"{op.name} (wait for") and f"state {queue.name!r}, element 0: C " in found, found
    assert re.search(r"element 0: C -?\d+, oracle -?\d+, step \d+ of ", found), found


def with_plant(
    program: Program, files: dict[str, str], op: str, member: str, ctype: str, bit: int, tick: int = 3
) -> dict[str, str]:
    """The package with a bit of a state's first element flipped after an op's last call, from its tick-th on."""
    call, name = [c for c in program.calls if c.op == op][-1], f"{program.name}.c"
    text = statement(program, call)
    assert files[name].count(text) == 1
    plant = PLANT.format(ctype=ctype, tick=tick, element=0, bit=bit)
    return {**files, name: plant + files[name].replace(text, f"{text}\nplanted({member});")}


def test_a_constant_changed_in_a_kernel_names_its_layer() -> None:
    qnet = draw_integers(0, ("rnn", "dense", "gru_before"))
    program, files = package(qnet)
    file, text = next((name, text) for name, text in files.items() if "rnnc_right(state + 8192, 14)" in text)
    found = told(
        program, {**files, file: text.replace("rnnc_right(state + 8192, 14)", "state >> 14")}, oracle_run(qnet)
    )
    assert found.startswith("gru") and "(GRU" in found and "step 1 of sequence" in found, found


def test_a_fault_that_no_look_finds_is_told_as_one_of_the_surroundings() -> None:
    qnet = draw_integers(list(LAYERS).index("lstm"), ("lstm",))
    program, files = package(qnet)
    name = f"{program.name}_state.c"
    save = re.search(r"p = rnnc_write(16|32)\(p, s->\w+", files[name])
    assert save
    found = told(
        program, {**files, name: files[name].replace(save.group(), f"{save.group()} + 1")}, oracle_run(qnet, 1)
    )
    assert found.startswith("the saved state of sequence 0 after the last step; ") and "writes them out" in found
