"""What the example is judged by: mazes that the network walks itself. The firmware walks the same ones."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from examples.common import Metric, Network, Simulate, c_header, integers
from examples.policy.maze import FRACTION, MOST_STEPS, Ints, Mazes, real, seeds
from rnnc import Options, Package

NETWORKS = (Network("policy.onnx", Options(input_format={"x": FRACTION})),)
METRIC = Metric("mazes whose exit is found", "share", 2)
MAZES = 600
FIRST = 0


def walk(decide: Callable[[Ints], Ints]) -> Mazes:
    """Walk all mazes to their ends; ``decide`` gets what each robot has seen so far, [mazes, steps, 5], and gives actions."""
    mazes = Mazes(seeds(MAZES, FIRST))
    seen = np.zeros((MAZES, 0, 5), np.int64)
    for _ in range(MOST_STEPS):
        seen = np.concatenate([seen, mazes.observe()[:, None]], axis=1)
        action = np.zeros(MAZES, np.int64)
        running = mazes.running
        if not running.any():
            break
        action[running] = decide(seen[running])
        mazes.act(action)
    return mazes


def score(simulate: Simulate) -> float:
    """The share of mazes in which the network finds the exit."""
    mazes = walk(
        lambda seen: simulate({"x": real(seen)})["logits"].reshape(len(seen), seen.shape[1], -1)[:, -1].argmax(1)
    )
    return float(np.mean(mazes.turned == mazes.side))


def heldout(_: Package) -> str:
    """Nothing but how many mazes to walk: the firmware makes them itself."""
    return c_header("policy", {"MAZES": MAZES, "FIRST_MAZE": FIRST}, [])


def expected(package: Package) -> str:
    """What main.c prints."""

    def decide(seen: Ints) -> Ints:
        logits = package.simulate({"x": real(seen)}, engine="oracle")["logits"]
        last = logits.reshape(len(seen), seen.shape[1], -1)[:, -1]
        return np.asarray(integers(package, "logits", last).argmax(1))

    mazes = walk(decide)
    return f"exits found {int(np.sum(mazes.turned == mazes.side))} of {MAZES}\n"
