"""Where the header says that input and output may be one array, the bits are the same when they are."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from rnnc.backend.overlap import may_overlap, overlap_comment
from rnnc.backend.program import Port
from tests.conftest import require
from tests.support.nets import LAYERS, draw_integers, integers
from tests.support.packages import Array, Built, dtype, package

STEPS = 24
NETS = [
    ("gru_after",),
    ("lstm",),
    ("curve",),
    ("conv", "gru_after"),
    ("lstm", "dense"),
    ("residual",),
    ("pool", "rnn"),
    ("gate",),
    ("skip", "lstm"),
    ("window_dense",),
    ("norm",),
    ("dense", "dense"),
    ("stack", "dense"),
    ("dense",),
]
"""The last has more rows than a kernel computes before it writes."""


def outputs(built: Built, inputs: dict[str, Array], shared: tuple[Port, Port] | None) -> list[bytes]:
    """What each step writes to its outputs, where ``shared`` names an input and an output in one array."""
    p = built.program
    stream, written = built.new(), []
    for t in range(STEPS):
        arrays = {port.name: np.zeros(port.size, dtype(port)) for port in (*p.inputs, *p.outputs)}
        arrays = {f"{'in' if i < len(p.inputs) else 'out'} {n}": a for i, (n, a) in enumerate(arrays.items())}
        if shared:
            given, made = shared
            one = np.zeros(max(given.size, made.size), np.int64).astype(dtype(given))
            arrays[f"in {given.name}"], arrays[f"out {made.name}"] = one, one.view(dtype(made))
        for port in p.inputs:
            arrays[f"in {port.name}"][: port.size] = inputs[port.name][t].reshape(port.size)
        answer = stream.call("step", *arrays.values())
        wrote = answer if p.returns else 1
        due = [wrote >> k & 1 if p.apart else wrote for k in range(len(p.outputs))]
        written += [arrays[f"out {o.name}"][: o.size].tobytes() for o, w in zip(p.outputs, due, strict=True) if w]
    return written


@pytest.mark.parametrize("target", ["portable", "cortex-m4"])
def test_one_array_where_the_header_allows_it_and_another_answer_where_not(target: str, tmp_path: Path) -> None:
    require("gcc")
    allowed, broken = 0, 0
    for seed, layers in enumerate(NETS):
        assert set(layers) <= set(LAYERS)
        qnet = draw_integers(seed, layers)
        program, files = package(qnet, f"net{seed}", target)
        (tmp_path / str(seed)).mkdir()
        built = Built(program, files, tmp_path / str(seed), ("-O2",))
        inputs = {k: v[:, 0] for k, v in integers(qnet, STEPS).items()}
        apart = outputs(built, inputs, None)
        for given in program.inputs:
            for made in program.outputs:
                if dtype(given).itemsize != dtype(made).itemsize:
                    continue
                same = outputs(built, inputs, (given, made)) == apart
                if may_overlap(program, given, made):
                    allowed += 1
                    assert same, (layers, given.name, made.name)
                    assert "may be the same array" in files[f"{program.name}.h"]
                broken += not same
    assert allowed >= 8 and broken >= (target == "portable"), "others copy what they multiply before they write"


def test_the_comment_names_the_arrays() -> None:
    recurrent, _ = package(draw_integers(0, ("gru_after",)), "net")
    assert overlap_comment(recurrent).startswith("x and y may be the same array")
    pointwise, _ = package(draw_integers(2, ("dense",)), "net")
    assert overlap_comment(pointwise) == "Inputs and outputs must be different arrays."
