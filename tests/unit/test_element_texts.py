"""Ops whose integers are a text: 32 bits hold all that it computes, its ranges what it gives; one loop computes several."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from itertools import repeat
from pathlib import Path

import numpy as np
import pytest

import rnnc
from rnnc.backend.fusion import QFused, fused
from rnnc.files import write_files
from rnnc.language import Quantity
from rnnc.ops.element import ByElement
from rnnc.qnet import QNet
from rnnc.readings import Arrays, Intervals, Range
from rnnc.streams import run_qnet
from tests.support.covering import drawn as covered
from tests.support.modern import step_file
from tests.support.nets import draw_integers, integers, noise, to_integers
from tests.support.packages import WARNINGS, Built, package, run

Array = np.ndarray[tuple[int, ...], np.dtype[np.int64]]
CELLS = ["minGRU", "sLSTM", "RWKV 4", "LTC", "CfC", "SRU", "S5, LRU"]
SMALL = ["kept", "residual", "skip", "affine", "leaky_relu", "gate", "stepped", "custom"]
"""Layers of random networks that have the other ops with a text."""
STEPS = 40


@cache
def cell(name: str) -> QNet:
    """One step of a cell in integers, calibrated on noise."""
    net = rnnc.load_net(step_file(name))
    return to_integers(net, noise(net, STEPS))


@cache
def drawn(layer: str) -> list[QNet]:
    """Random networks of a layer."""
    return [draw_integers(seed, (layer,)) for seed in range(3)]


def by_element(qnet: QNet) -> Iterator[ByElement]:
    """The ops of a network that have a text and read no operand that is broadcast."""
    for op in qnet.ops:
        sizes = {qnet.values[n].size for n in (*op.inputs, *op.outputs)}
        if isinstance(op, ByElement) and op.joins and len(sizes) == 1:
            yield op


def check(qnet: QNet, op: ByElement, rng: np.random.Generator) -> None:
    """Compare on integers of which half are at the ends of their formats."""
    limits = []
    for name in op.inputs:
        f = qnet.formats[name]
        limits.append((-f.amax, f.amax - (f.bits < 32)) if f.bits < 32 else (f.lo, f.hi))
    shape = getattr(op.op, "shape", qnet.values[op.outputs[0]].shape)
    x = [rng.integers(lo, hi + 1, (STEPS, 1, *shape)) for lo, hi in limits]
    ends = [np.array([lo, hi, 0, 1])[rng.integers(0, 4, a.shape)] for (lo, hi), a in zip(limits, x, strict=True)]
    x = [np.where(rng.random(a.shape) < 0.5, a, e) for a, e in zip(x, ends, strict=True)]
    arrays, ranges = Arrays(op.name, repeat(False)), Intervals()
    got = op.text(*(Quantity(arrays, a, 0) for a in x)).raw
    arrays.finish()
    within = op.text(*(Quantity(ranges, Range(lo, hi), 0) for lo, hi in limits)).raw
    assert within.lo <= got.min() and got.max() <= within.hi, op.name


@pytest.mark.parametrize("name", CELLS)
def test_widths_and_ranges_of_every_op_of_a_cell_hold(name: str) -> None:
    found = list(by_element(cell(name)))
    assert found
    for op in found:
        check(cell(name), op, np.random.default_rng(0))


@pytest.mark.parametrize("layer", SMALL)
def test_widths_and_ranges_of_random_networks_hold(layer: str) -> None:
    for qnet in drawn(layer):
        for op in by_element(qnet):
            check(qnet, op, np.random.default_rng(0))


def test_every_op_that_has_a_text_is_tested() -> None:
    nets = [*map(cell, CELLS), *(qnet for layer in SMALL for qnet in drawn(layer))]
    assert {type(op) for qnet in nets for op in by_element(qnet)} == set(ByElement.__subclasses__())


@pytest.mark.parametrize("name", CELLS)
def test_the_elementwise_ops_of_a_cell_are_few_loops_that_compute_the_same(name: str) -> None:
    """Loops are as many as the rows of weights between them ask for."""
    qnet = cell(name)
    one = fused(qnet)
    loops = [op for op in one.ops if isinstance(op, QFused)]
    assert 1 <= len(loops) <= 4 and len(one.ops) < len(qnet.ops)
    known = {*(v.name for v in qnet.inputs), *(f.state.name for f in qnet.feedback)}
    for op in one.ops:
        assert known.issuperset(op.inputs), f"{op.name} comes before what it reads"
        known.update(op.outputs)
    rng = np.random.default_rng(0)
    values: dict[str, Array] = {n: rng.integers(-9999, 9999, (1, 1, *v.shape)) for n, v in one.values.items()}
    before = dict(values)
    for op in qnet.ops:
        if not op.states():
            results = op.step([before[n] for n in op.inputs], {}, 0) or []
            before |= {n: r.reshape(1, 1, *qnet.values[n].shape) for n, r in zip(op.outputs, results, strict=True)}
    for op in loops:
        results = op.step([before[n] for n in op.inputs], {}, 0)
        for n, r in zip(op.given, results, strict=True):
            assert np.array_equal(np.ravel(r), np.ravel(before[n])), n


@pytest.mark.parametrize("name", CELLS[:5])
def test_the_loops_in_c_give_the_bits_of_the_separate_ops(name: str, tmp_path: Path) -> None:
    """Over inputs that are mostly at the ends of what int16 holds."""
    qnet = cell(name)
    built = Built(*package(qnet, "one"), tmp_path)
    given = integers(qnet, STEPS)
    wanted = run_qnet(qnet, given)
    got = built.new().run({k: v[:, 0] for k, v in given.items()})
    assert all(np.array_equal(got[k], w.reshape(STEPS, -1)) for k, w in wanted.items())


def test_a_term_that_is_0_in_the_units_of_its_sum_is_not_read(tmp_path: Path) -> None:
    """No warning of a variable or a parameter that is not used."""
    program, files = package(covered(0, "linked"), "net", steps=1)
    write_files(tmp_path, files)
    assert "(void)x1;" in files["net.c"] and "x1[k]" not in files["net.c"]
    run(["gcc", *WARNINGS, "-I.", "-fsyntax-only", "net.c"], tmp_path)
    Built(program, files, tmp_path)
