"""int16 weights: which rows get them, by name, and that they fit 32 bits, in every op that has rows."""

from __future__ import annotations

import numpy as np
import pytest

from rnnc.compiler import compile_stages
from rnnc.errors import UsageError
from rnnc.net import Net
from rnnc.options import Options
from rnnc.qnet import QNet
from rnnc.quantization.calibrate import calibrate
from rnnc.quantization.quantize import quantize
from rnnc.streams import run_net, run_qnet
from rnnc.verification.metrics import sqnr_db
from tests.support.nets import Array, draw, integers, noise, to_integers
from tests.support.small import small


def blocks(layer: str, gates: str) -> list[str]:
    return [f"{layer}.{gate}.{operand}" for operand in "xh" for gate in gates]


KINDS = {
    "lstm": {*blocks("lstm0", "iofc")},
    "gru_after": {*blocks("gru0", "zrh")},
    "gru_before": {*blocks("gru0", "zrh")},
    "rnn": {*blocks("rnn0", "i")},
    "rnn_relu": {*blocks("rnn0", "i")},
    "dense": {"dense0"},
    "conv": {"conv0"},
}
"""Layers of the random networks, and blocks that they have at least."""


def drawn(kind: str, *more: str) -> Net:
    """A random network whose layer has all gates."""
    nets = (draw(seed, [kind, *more]) for seed in range(40))
    return next(
        n for n in nets if any(getattr(op, "reset", "own") == "own" and kind[:3] == op.kind[:3] for op in n.ops)
    )


def names(qnet: QNet) -> set[str]:
    return {b.name for b in qnet.blocks}


def worst_db(qnet: QNet, inputs: dict[str, Array]) -> float:
    reference = run_net(qnet.net, inputs)
    got = run_qnet(qnet, {name: qnet.formats[name].quantize(x) for name, x in inputs.items()})
    found = [sqnr_db(reference[o.name], qnet.formats[o.value].dequantize(got[o.name])) for o in qnet.outputs]
    return min(db for db in found if db is not None)


@pytest.mark.parametrize("kind", KINDS)
def test_with_16_bits_every_block_is_wide_fits_its_accumulator_and_is_nearer_to_the_net(kind: str) -> None:
    net = drawn(kind)
    data = noise(net, 64, 3)
    coarse, fine = (to_integers(net, data, Options(weights=bits)) for bits in ("8", "16"))
    assert names(fine) == names(coarse) >= KINDS[kind]
    assert all(b.wide for b in fine.blocks) and not any(b.wide for b in coarse.blocks)
    run_qnet(fine, integers(fine, 64))  # every width is asserted
    assert worst_db(fine, data) > worst_db(coarse, data) + 3


def test_a_prefix_names_a_layer_a_gate_or_its_rows_over_one_operand() -> None:
    net = drawn("gru_after", "dense")
    data = noise(net, 64)

    def wide(*asked: str) -> set[str]:
        return {b.name for b in to_integers(net, data, Options(weights="8", wide=asked)).blocks if b.wide}

    assert wide() == set()
    assert wide("gru0") == KINDS["gru_after"]
    assert wide("gru0.z") == {"gru0.z.x", "gru0.z.h"}
    assert wide("gru0.r.h", "dense0") == {"gru0.r.h", "dense0"}
    assert wide("gru0.n.x") == wide("gru0.h.x") == {"gru0.h.x"}


def test_rows_of_one_gate_are_int16_and_the_others_as_they_were() -> None:
    """Without data: each weight is rounded by itself."""
    net = drawn("lstm")
    ranges = calibrate(net, None, Options())
    coarse, fine = (quantize(net, ranges, Options(wide=wide)) for wide in ((), ("lstm0.c.x",)))
    a, b = (next(q for q in qnet.ops if q.name == "lstm0") for qnet in (coarse, fine))
    (_, before), (_, after) = (vars(q)["loops"][0].parts[0] for q in (a, b))
    assert before.x.wide is None and after.h.wide is None
    assert np.array_equal(np.flatnonzero(after.x.wide), np.arange(3, len(after.x.weights), 4))
    assert np.array_equal(before.h.weights, after.h.weights)
    assert np.array_equal(before.x.weights[~after.x.wide], after.x.weights[~after.x.wide])
    assert np.abs(after.x.weights[after.x.wide]).max() > 127


def test_what_the_network_has_not_is_refused_with_what_it_has() -> None:
    for asked in ("lstm9", "lstm0.n", "lstm0.i.h.x", "dense"):
        with pytest.raises(UsageError) as error:
            compile_stages(small(), None, Options(wide=(asked,)))
        assert error.value.what.startswith(f"--wide {asked}: ")
    assert error.value.hint == f"It has {', '.join(blocks('lstm0', 'iofc'))}, dense0."
