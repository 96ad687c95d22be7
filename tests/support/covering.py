"""Small networks that have every op and every kernel function between them, the same at every run.

``python -m tests.support.covering`` searches for them anew and prints what CHOSEN must hold.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import numpy as np

import rnnc.ops
from rnnc.options import Options
from rnnc.qnet import QNet
from tests.support.nets import LAYERS, NAMED, draw, draw_integers, noise, to_integers
from tests.support.wide import widened

SEEDS = 12
OPS, KERNELS = Path(rnnc.ops.__file__).parent, Path(__file__).parents[2] / "runtime_c"
NOT_DRAWN = {"unstack", "rnnc_unstack_keep", "rnnc_unstack_next", "rnnc_dense_sparse"}
"""Ops past the end of a window, and rows without their blocks of zeros, which only some targets have:
test_windows.py and test_sparse.py of tests/unit and tests/target run their C."""
CHOSEN: dict[int, str] = {
    0: (
        "lstm lstm_general gru_after gru_relu rnn dense conv squash softmax norm residual skip "
        "affine curve leaky_relu gate magnitude reduced decision stepped pool depthwise along_frame shift "
        "stack running rearranged custom backward window_dense average linked bent product softmax_pool inner "
        "edges placed at_positions kept"
    ),
    1: "lstm reduced backward average",
    2: "at_positions dense conv softmax reduced pool depthwise running window_dense average inner",
    5: "inner",
    6: "gate",
    7: "bent",
    9: "pool",
    10: "running",
}
"""Layers by the seed that they are drawn with."""
NETWORKS = [f"{layer}-{seed}" for seed, layers in CHOSEN.items() for layer in layers.split()]
"""What each of the networks is called, in order."""


@cache
def covering() -> Sequence[QNet]:
    """Networks of one layer each."""
    return [drawn(seed, layer) for seed, layers in CHOSEN.items() for layer in layers.split()]


def names(qnet: QNet) -> set[str]:
    """The kinds of a network's ops, and the kernel functions that they call."""
    return {op.op.kind for op in qnet.ops} | {call.function for op in qnet.ops for call in op.calls()}


def wanted() -> tuple[set[str], set[str]]:
    """Every kind of op, and every kernel function that some op calls."""
    sources = "".join(path.read_text() for path in OPS.glob("*.py"))
    headers = "".join(path.read_text() for path in KERNELS.glob("*.h"))
    kinds = set(re.findall(r'kind: ClassVar\[str\] = "(\w+)"', sources))
    functions = set(
        re.findall(r"(?:static inline|RNNC_KERNEL) \w+ \**(rnnc_\w+)\(const rnnc_\w+_params \*p, ", headers)
    )
    return kinds, functions & set(re.findall(r'"(rnnc_\w+)"', sources))


def drawn(seed: int, layer: str) -> QNet:
    """A network of one layer; every third seed has int16 weights."""
    qnet = draw_integers(seed, (layer,))
    return widened(qnet, np.random.default_rng(seed)) if seed % 3 == 2 else qnet


def large(seed: int, layer: str) -> QNet:
    """One of more columns and units than a kernel takes at once; raises Refused.

    Odd seeds have activations of 8 bits, those from 3 on int16 weights.
    """
    net = draw(seed, (layer,), 23, 45, rows=False)
    qnet = to_integers(net, noise(net, 48, seed), Options(precision="a8" if seed % 2 else "a16"))
    return widened(qnet, np.random.default_rng(seed)) if seed > 2 else qnet


def search() -> dict[int, str]:
    """The layers, by seed, that have an op or a kernel function that none before has."""
    found, seen = dict[int, str](), set[str]()
    for seed in range(SEEDS):
        for layer in (*LAYERS, *NAMED):
            new = names(drawn(seed, layer)) - seen
            if new:
                found[seed] = f"{found.get(seed, '')} {layer}".strip()
                seen |= new
    return found


if __name__ == "__main__":
    for seed, layers in search().items():
        print(f'    {seed}: "{layers}",')
