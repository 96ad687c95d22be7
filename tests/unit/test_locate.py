"""Where the C leaves the oracle: faults planted in the C are told with their op, value or state, step and element."""

from __future__ import annotations

import re
from itertools import count

import pytest

from rnnc.backend.emit.spelling import statement
from rnnc.backend.program import Program
from rnnc.qnet import QNet
from rnnc.verification.batches import Batch
from rnnc.verification.host import OracleRun, run_oracle
from rnnc.verification.locate import locate, visible
from rnnc.verification.verify import compare_c
from tests.support.nets import LAYERS, draw_integers, noise
from tests.support.packages import package
from tests.support.plants import PLANT, TICK, planted

STEPS = 40


def oracle_run(qnet: QNet, lanes: int = 2) -> OracleRun:
    inputs = noise(qnet.net, STEPS, lanes=lanes)
    return run_oracle(qnet, Batch([*range(lanes)], [STEPS] * lanes, inputs))


@pytest.mark.parametrize("layer", LAYERS)
def test_a_flipped_bit_is_told_with_its_op_value_step_and_element(layer: str) -> None:
    number = list(LAYERS).index(layer)
    drawn = (draw_integers(seed, (layer,)) for seed in count(number, len(LAYERS)))
    qnet = next(q for q in drawn if not q.net.overlaps)
    program, files = package(qnet)
    place = max(program.computed, key=lambda p: (p.op.startswith(layer), qnet.values[p.value].size))
    assert place in visible(program)
    value, tick = qnet.values[place.value], 1 if qnet.net.window else TICK
    element = value.size - 1
    found = locate(program, planted(program, files, place, element, tick), oracle_run(qnet), 1)
    assert re.match(rf"{place.op} \(.*\) differs first: value '{place.value}', element {element}: C ", found), found
    step = value.clock.phase + (tick - 1) * value.clock.rate + 1
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
    qnet = draw_integers(list(LAYERS).index("custom"), ("custom",))
    program, files = package(qnet)
    feedback, name = qnet.feedback[0], f"{program.name}.c"
    member = next(m for m in program.members if m.state is feedback.state)
    copy = re.search(rf"memcpy\(s->{member.c_name}, .*\);", files[name])
    assert copy
    plant = PLANT.format(ctype=feedback.state.format.ctype, tick=3, element=0, bit=1)
    changed = files[name].replace(copy.group(), f"{copy.group()} planted(s->{member.c_name});")
    found = told(program, {**files, name: plant + changed}, oracle_run(qnet, 1))
    producer = next(op for op in qnet.ops if feedback.next in op.outputs)
    assert found.startswith(producer.name) and f"state {feedback.state.name!r}, element 0" in found, found
    assert "step 3 of sequence 0" in found


def test_a_constant_changed_in_a_kernel_names_its_layer() -> None:
    qnet = draw_integers(0, ("rnn", "dense", "gru_before"))
    program, files = package(qnet)
    file, text = next((name, text) for name, text in files.items() if "(state + 8192) >> 14" in text)
    found = told(program, {**files, file: text.replace("(state + 8192) >> 14", "state >> 14")}, oracle_run(qnet))
    assert found.startswith("gru") and "(GRU" in found and "step 1 of sequence" in found, found


def test_a_fault_that_no_look_finds_is_told_as_one_of_the_surroundings() -> None:
    qnet = draw_integers(list(LAYERS).index("lstm"), ("lstm",))
    program, files = package(qnet)
    name = f"{program.name}_state.c"
    save = re.search(r"p = rnnc_put(16|32)\(p, s->\w+", files[name])
    assert save
    found = told(
        program, {**files, name: files[name].replace(save.group(), f"{save.group()} + 1")}, oracle_run(qnet, 1)
    )
    assert found.startswith("the saved state of sequence 0 after the last step; ") and "writes them out" in found
