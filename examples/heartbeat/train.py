"""Train the example's LSTM and write heartbeat.onnx.

    python train.py

It learns to say yes from 120 to 360 ms after the R peak of an extra beat, and no everywhere else; between the peak and then, no
answer is asked for. Recordings of 16 s from new persons each time; back-propagation goes through all of a recording.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from ecg import FRAME, SAMPLE_RATE
from prepare import HERE, TEST_PERSONS, TEST_SEED, TRAINING_SEED, Recording, frames, recordings

SEED = 0
HIDDEN = 24
PERSONS = 1200
SECONDS = 16.0
EPOCHS = 25
BATCH = 40
LEARNING_RATE = 8e-3
MAX_GRADIENT_NORM = 1.0
FIRST, LAST = 3, 9
"""Frames after the peak's between which yes is asked for."""
SCALE = 100.0
"""Counts; folded into the exported weights."""


class HeartbeatNet(nn.Module):
    """x [1, time, 5] counts to y [1, time, 1]: above 0 where an extra beat has just been."""

    def __init__(self) -> None:
        super().__init__()
        self.rnn = nn.LSTM(FRAME, HIDDEN, batch_first=True)
        self.head = nn.Linear(HIDDEN, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        answer: torch.Tensor = self.head(self.rnn(x)[0])
        return answer


def targets(made: list[Recording], steps: int) -> tuple[torch.Tensor, torch.Tensor]:
    """What to answer [recordings, frames], and where it is asked for."""
    target, asked = np.zeros((len(made), steps), np.float32), np.ones((len(made), steps), np.float32)
    for i, recording in enumerate(made):
        for peak in recording.peak[recording.extra] // FRAME:
            asked[i, peak : peak + LAST + FIRST] = 0
            asked[i, peak + FIRST : peak + LAST] = 1
            target[i, peak + FIRST : peak + LAST] = 1
    return torch.from_numpy(target), torch.from_numpy(asked)


def train() -> HeartbeatNet:
    """Train a network that takes counts."""
    torch.manual_seed(SEED)
    made = recordings(PERSONS, TRAINING_SEED, SECONDS)
    x = torch.from_numpy(frames(made).astype(np.float32) / SCALE)
    target, asked = targets(made, x.shape[1])
    net = HeartbeatNet()
    optimizer = torch.optim.Adam(net.parameters(), lr=LEARNING_RATE)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, LEARNING_RATE, EPOCHS * (PERSONS // BATCH))
    for epoch in range(1, EPOCHS + 1):
        losses = []
        for chosen in torch.randperm(PERSONS).split(BATCH):
            logits = net(x[chosen])[..., 0]
            loss = nn.functional.binary_cross_entropy_with_logits(logits, target[chosen], asked[chosen])
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(net.parameters(), MAX_GRADIENT_NORM)
            optimizer.step()
            schedule.step()
            losses.append(loss.item())
        if epoch % 5 == 0:
            print(f"epoch {epoch} of {EPOCHS}: loss {np.mean(losses):.4f}", flush=True)
    with torch.no_grad():
        net.rnn.weight_ih_l0 /= SCALE
    return net.eval()


def frames_right(net: HeartbeatNet) -> float:
    """Share of right answers where one is asked for, over the recordings of test.npz."""
    made = recordings(TEST_PERSONS, TEST_SEED)
    x = torch.from_numpy(frames(made).astype(np.float32))
    target, asked = targets(made, x.shape[1])
    with torch.no_grad():
        right = (net(x)[..., 0] > 0) == (target > 0)
    return float(right[asked > 0].float().mean())


def export(net: HeartbeatNet) -> None:
    """Write the network for batch 1 and any number of frames, by the TorchScript exporter: the newer one writes paths."""
    path = HERE / "heartbeat.onnx"
    torch.onnx.export(
        net,
        (torch.zeros(1, SAMPLE_RATE, FRAME),),
        path,
        dynamo=False,
        opset_version=17,
        input_names=["x"],
        output_names=["y"],
        dynamic_axes={"x": {1: "time"}, "y": {1: "time"}},
    )
    print(f"{path.name}: {sum(p.numel() for p in net.parameters())} parameters, {path.stat().st_size} bytes")


def main() -> None:
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    net = train()
    print(f"held-out persons: {frames_right(net):.2%} of the answers asked for are right; beats are counted by task.py")
    export(net)


if __name__ == "__main__":
    main()
