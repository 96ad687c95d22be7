"""Kernels whose parameters are constants: which calls share a function, and where the next value of a state is computed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from rnnc.backend.folding import FEW
from rnnc.backend.lower import lower
from rnnc.backend.places import StatePlace
from rnnc.backend.program import Call, Copy, Program
from rnnc.frontend.read.load import load
from rnnc.frontend.stream.streaming import to_stream
from rnnc.net import Net
from rnnc.ops.extended import is_extended
from rnnc.options import Options
from tests.support.graphs import Builder
from tests.support.nets import to_integers
from tests.support.operators import Case, check_c, imported, model, op, quantized


def program(*nodes: object, frame: tuple[int, ...] = (6,), target: str = "portable") -> Program:
    cases = [Case(f"case{i}", n, 0, frame) for i, n in enumerate(nodes)]  # type: ignore[arg-type]
    return lower(quantized(imported(model(cases)), None), target)


def norm(seed: int) -> object:
    rng = np.random.default_rng(seed)
    return op("LayerNormalization", rng.uniform(0.5, 2, 6), rng.standard_normal(6), epsilon=10.0**-seed)


def test_calls_of_one_shape_share_a_function_that_knows_what_they_have_in_common() -> None:
    p = program(norm(3), norm(5))
    (folded,) = [f for f in p.folded if f.function == "rnnc_norm"]
    fields = dict(folded.fields)
    assert len(folded.ops) == 2 and fields["x_bits"] == 16 and fields["along.count"] == 6
    assert fields["lines"] is None and fields["epsilon"] is None
    assert [c.function for c in p.calls].count(folded.symbol) == 2


def test_calls_of_unlike_kernels_have_functions_of_their_own() -> None:
    p = program(norm(3), op("Softmax", axis=-1), op("Clip", np.float32(-1), np.float32(1)), op("Mul", np.full(6, -2.0)))
    functions = {c.function for c in p.calls}
    assert len(p.calls) > FEW and functions == {f.symbol for f in p.folded} and len(functions) > 2


def test_a_network_of_a_few_unlike_kernels_needs_no_functions() -> None:
    p = program(norm(3), op("Softmax", axis=-1))
    assert not p.folded and 1 < len(p.calls) <= FEW


def test_constants_in_a_memory_of_their_own_do_not_fold() -> None:
    assert not program(norm(3), norm(5), target="avr").folded


# --------------------------------------------------------------------------- states that only keep elements


def cached(read_after: bool = False, summed: bool = False) -> Net:
    """x ``[1, 4]`` and the newest three frames of it, kept in a state, to y; or to a sum that frames enter and leave."""
    b = Builder()
    shapes = {"x": [1, 4], "kept": [1, 4, 3], **({"total": [1, 4]} if summed else {})}
    frame = b.op("Unsqueeze", b.op("Mul", "x", "x"), b.const(np.array([2])))
    joined = b.op("Concat", "kept", frame, axis=2)
    ends = [b.const(np.array([k])) for k in (1, 4, 2)]
    nexts = b.op("Slice", joined, *ends, out="kept_next")
    outputs = [nexts]
    if summed:
        oldest = b.op(
            "Squeeze", b.op("Slice", joined, *(b.const(np.array([k])) for k in (0, 1, 2))), b.const(np.array([2]))
        )
        newest = b.op("Squeeze", frame, b.const(np.array([2])))
        b.op("Sub", b.op("Add", "total", newest), oldest, out="total_next")
        outputs.append("total_next")
    mean = b.op(
        "ReduceMean", b.op("Add", nexts, "kept") if read_after else joined, b.const(np.array([2])), keepdims=0, out="y"
    )
    content = b.model(shapes, [mean, *outputs])
    options = Options(states={"kept": "kept_next", **({"total": "total_next"} if summed else {})})
    return to_stream(load(content, options), options)


def test_a_state_that_only_keeps_elements_has_their_16_bits(tmp_path: Path) -> None:
    qnet = to_integers(cached(), None)
    (kept,) = qnet.feedback
    assert kept.state.format.bits == 16
    check_c(qnet, tmp_path, 20)


def test_what_a_sum_takes_from_such_a_state_has_the_bits_of_the_sum(tmp_path: Path) -> None:
    qnet = to_integers(cached(summed=True), None)
    assert len(qnet.feedback) == 2 and all(is_extended(f.state.format) for f in qnet.feedback)
    check_c(qnet, tmp_path, 20)


@pytest.mark.parametrize("read_after", [False, True])
def test_a_next_state_is_computed_in_place_where_nothing_reads_the_old_one_later(
    read_after: bool, tmp_path: Path
) -> None:
    qnet = to_integers(cached(read_after), None)
    p = lower(qnet)
    (place,) = [StatePlace(m.c_name) for m in p.members]
    work = [w for region in p.regions for w in region.work]
    copied = any(isinstance(w, Copy) and w.to == place for w in work)
    written = [w for w in work if isinstance(w, Call) and w.args[-1] == place]
    assert copied == read_after and bool(written) != read_after
    check_c(qnet, tmp_path, 20)
