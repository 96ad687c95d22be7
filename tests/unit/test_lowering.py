"""The back end decides on values: where arguments point, and what guards a step computes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from rnnc.backend.emit.spelling import address, condition, initializer, statement, wrote
from rnnc.backend.guards import ALWAYS_NEW, Both, Counter, Due, Tail
from rnnc.backend.lower import lower
from rnnc.backend.places import ActivationCode, Guarded, Literal, PoolPlace, PortPlace, StatePlace
from rnnc.backend.program import Call, ConstantArray, Copy, Params, Program
from rnnc.net import Output
from rnnc.ops.conv import Conv
from rnnc.ops.geometry import Axis, Geometry
from tests.support.nets import LAYERS, draw_integers, single, to_integers


def program(layer: str) -> Program:
    return lower(draw_integers(list(LAYERS).index(layer), (layer,)))


def conv(name: str, x: str, time: Axis) -> Conv:
    weights = np.ones((1, time.kernel, 1, 1, 1))
    return Conv(name, (x,), (f"{name}.y",), weights, np.zeros(1), Geometry(channels=1, time=time), 1, (1,))


def test_what_a_layer_reads_keeps_and_writes_are_places_of_unlike_kinds() -> None:
    p = program("gru_after")
    call = p.calls[-1]
    kinds = {type(a) for a in call.args}
    assert {PortPlace, StatePlace, PoolPlace} <= kinds
    assert ActivationCode("tanh") in call.args and Literal(0) in call.args
    states = {a.c_name for a in call.args if isinstance(a, StatePlace)}
    assert states == {m.c_name for m in p.members}


def test_places_are_spelled_as_addresses() -> None:
    p = program("dense")
    assert address(p, PortPlace("x")) == "x"
    assert address(p, StatePlace("h")) == "s->h"
    assert address(p, PoolPlace("work16", 0, "int16_t")) == "s->work16"
    assert address(p, PoolPlace("work16", 6, "int16_t")) == "s->work16 + 6"
    assert address(p, PoolPlace("work16", 0, "uint16_t")) == "(uint16_t *)s->work16"
    assert address(p, PoolPlace("work16", 6, "uint16_t")) == "(uint16_t *)(s->work16 + 6)"


def test_calls_and_copies_are_spelled_as_statements() -> None:
    p, due = program("dense"), Due("due0", Counter("wait0", 1, ""), 2)
    array = ConstantArray("n_w", "int8_t", np.zeros(1, np.int64), "", "weights")
    params = Params("op", "n_op_p", "rnnc_op_params", (("w", array), ("scale", (("m", 3), ("s", -1)))))
    args = (Guarded(PortPlace("x"), due), Literal(0), ActivationCode("relu"))
    assert [initializer(v) for _, v in params.fields] == ["n_w", "{.m = 3, .s = -1}"]
    text = "rnnc_op(RNNC_PARAMS(rnnc_op_params, n_op_p), due0 ? x : NULL, NULL, RNNC_RELU);"
    assert statement(p, Call("op", "rnnc_op", params, args)) == text
    copy = Copy(PortPlace("y"), StatePlace("h"), 3, "int16_t")
    assert statement(p, copy) == "rnnc_copy(y, s->h, 3 * sizeof(int16_t));"


def streamed(*ops: Conv) -> Program:
    net = replace(single(ops[0]), ops=ops, outputs=tuple(Output(op.name, op.outputs[0]) for op in ops))
    return lower(to_integers(net))


def test_what_is_new_at_every_step_needs_no_guard() -> None:
    p = streamed(conv("c", "x", Axis(3, before=2)))
    assert p.guards == () and p.counters == () and p.live is None
    assert [region.guard for region in p.regions] == [ALWAYS_NEW] and p.wrote == (ALWAYS_NEW,)


def test_what_comes_every_other_step_waits_for_a_counter_that_its_successors_share() -> None:
    slow, after = conv("a", "x", Axis(1, stride=2)), conv("b", "a.y", Axis(1))
    p = streamed(slow, after)
    (due,) = p.guards
    assert isinstance(due, Due) and due.rate == 2 and p.counters == (due.counter,)
    assert {c.guard for c in p.computed} == {due} and p.wrote == (due,) and condition(due) == due.c_name


def test_outputs_at_unlike_steps_are_told_apart_by_a_bit_each() -> None:
    p = streamed(conv("a", "x", Axis(1)), conv("b", "a.y", Axis(1, stride=2)))
    assert p.apart and len(p.wrote) == 2
    assert wrote(p) == f"(1 ? 1 : 0) | ({condition(p.wrote[1])} ? 2 : 0)"


def test_look_ahead_goes_on_behind_the_end_and_is_computed_before_what_needs_it() -> None:
    p = streamed(conv("a", "x", Axis(2, before=0, after=1)), conv("b", "a.y", Axis(2, before=0, after=1)))
    assert p.live is not None
    tails = [g for g in p.guards if isinstance(g, Tail)]
    assert len(tails) == 2 and tails[0].source == p.live
    known = {p.live, ALWAYS_NEW}
    for guard in p.guards:
        needed = {guard.tick, guard.due} if isinstance(guard, Both) else set()
        needed |= {guard.source, guard.due or ALWAYS_NEW} if isinstance(guard, Tail) else set()
        assert needed <= known
        known.add(guard)
    assert [a for c in p.calls for a in c.args if isinstance(a, Guarded)]
