"""Train the example's policy by imitation and write policy.onnx.

    python train.py

The teacher sees the whole maze, the network only what the robot senses. Asked at the junction what the teacher did, it learns
to weigh the flashes it has seen. Each batch is new mazes; back-propagation goes through whole walks.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from maze import ACTIONS, FEATURES, FORWARD, MOST_STEPS, Mazes, lessons, real, seeds
from prepare import HERE, TEST_FIRST, TRAINING_FIRST

SEED = 0
HIDDEN = 16
ITERATIONS = 1500
BATCH = 128
LEARNING_RATE = 1e-2
MAX_GRADIENT_NORM = 1.0

State = tuple[torch.Tensor, torch.Tensor]


class PolicyNet(nn.Module):
    """One step with its state outside: x [1, 1, 5], h and c [1, 1, 16] to logits [1, 1, 3] and the next h and c."""

    def __init__(self) -> None:
        super().__init__()
        self.rnn = nn.LSTM(FEATURES, HIDDEN, batch_first=True)
        self.head = nn.Linear(HIDDEN, ACTIONS)

    def forward(
        self, x: torch.Tensor, h: torch.Tensor, c: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        hidden, (h, c) = self.rnn(x, (h, c))
        return self.head(hidden), h, c


def fresh(batch: int) -> State:
    """The state at the start of a maze."""
    return torch.zeros(1, batch, HIDDEN), torch.zeros(1, batch, HIDDEN)


def train() -> PolicyNet:
    """Train on ITERATIONS batches of new mazes."""
    torch.manual_seed(SEED)
    net = PolicyNet()
    optimizer = torch.optim.Adam(net.parameters(), lr=LEARNING_RATE)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, LEARNING_RATE, ITERATIONS)
    for iteration in range(1, ITERATIONS + 1):
        x, action, lengths = lessons(BATCH, TRAINING_FIRST + iteration * BATCH)
        inside = np.arange(MOST_STEPS) < lengths[:, None]
        logits, _, _ = net(torch.from_numpy(x), *fresh(BATCH))
        loss = nn.functional.cross_entropy(logits[torch.from_numpy(inside)], torch.from_numpy(action[inside]))
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(net.parameters(), MAX_GRADIENT_NORM)
        optimizer.step()
        schedule.step()
        if iteration % 250 == 0:
            print(f"iteration {iteration} of {ITERATIONS}: loss {loss.item():.4f}", flush=True)
    return net.eval()


def success(net: PolicyNet, count: int) -> float:
    """Share of mazes in which the network finds the exit, walking by itself."""
    mazes, (h, c) = Mazes(seeds(count, TEST_FIRST)), fresh(count)
    with torch.no_grad():
        for _ in range(MOST_STEPS):
            logits, h, c = net(torch.from_numpy(real(mazes.observe()))[:, None], h, c)
            mazes.act(logits[:, 0].argmax(1).numpy())
    return float(np.mean(mazes.turned == mazes.side))


def majority(count: int) -> float:
    """Share of mazes in which one finds the exit who counts flashes and turns to where most were."""
    mazes, seen = Mazes(seeds(count, TEST_FIRST)), np.zeros(count)
    for _ in range(MOST_STEPS):
        x = mazes.observe()
        seen += np.sign(x[:, 1] - x[:, 0])
        mazes.act(np.where(mazes.at_junction, np.where(seen > 0, 2, 1), FORWARD))
    return float(np.mean(mazes.turned == mazes.side))


def export(net: PolicyNet) -> None:
    """Write one step with explicit state, as policies are deployed."""
    path = HERE / "policy.onnx"
    torch.onnx.export(
        net,
        (torch.zeros(1, 1, FEATURES), *fresh(1)),
        path,
        dynamo=False,
        opset_version=17,
        input_names=["x", "h", "c"],
        output_names=["logits", "next_h", "next_c"],
    )
    print(f"{path.name}: {sum(p.numel() for p in net.parameters())} parameters, {path.stat().st_size} bytes")


def main() -> None:
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    net = train()
    print(f"mazes walked: {success(net, 10_000):.2%} find the exit; by counting flashes {majority(10_000):.2%}")
    export(net)


if __name__ == "__main__":
    main()
