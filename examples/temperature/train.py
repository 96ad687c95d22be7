"""Train the example's two networks, an LSTM and a plain RNN, and write temperature_lstm.onnx and temperature_rnn.onnx.

    python train.py

Both read 24 frames and answer once: the last hidden state, a Dense layer, 12 numbers. The loss is the mean absolute error,
which is also what is reported.
"""

from __future__ import annotations

import copy

import numpy as np
import torch
from torch import nn

from prepare import FEATURES, HERE, HOURS_IN, HOURS_OUT, Floats, split

SEED = 0
HIDDEN = {"lstm": 16, "rnn": 24}
EPOCHS = 40
BATCH = 64
LEARNING_RATE = 5e-3
MAX_GRADIENT_NORM = 1.0


class TemperatureNet(nn.Module):
    """x [1, 24, 5] to y [1, 12]: how much warmer each of the next 12 hours will be than the last reading."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        cell = nn.LSTM if kind == "lstm" else nn.RNN
        self.rnn = cell(FEATURES, HIDDEN[kind], batch_first=True)
        self.head = nn.Linear(HIDDEN[kind], HOURS_OUT)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        hidden, _ = self.rnn(x)
        answer: torch.Tensor = self.head(hidden[:, -1])
        return answer


def train(kind: str, x: Floats, target: Floats) -> TemperatureNet:
    """Train a network that takes raw units."""
    torch.manual_seed(SEED)
    mean, std = x.mean(axis=(0, 1)), x.std(axis=(0, 1))
    inputs, targets = torch.from_numpy((x - mean) / std), torch.from_numpy(target)
    net = TemperatureNet(kind)
    optimizer = torch.optim.Adam(net.parameters(), lr=LEARNING_RATE)
    batches = -(-len(x) // BATCH)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, LEARNING_RATE, EPOCHS * batches)
    for epoch in range(1, EPOCHS + 1):
        losses = []
        for chosen in torch.randperm(len(x)).split(BATCH):
            loss = nn.functional.l1_loss(net(inputs[chosen]), targets[chosen])
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(net.parameters(), MAX_GRADIENT_NORM)
            optimizer.step()
            schedule.step()
            losses.append(loss.item())
        if epoch % 10 == 0:
            print(f"{kind}: epoch {epoch} of {EPOCHS}, error {np.mean(losses):.3f}", flush=True)
    return fold_standardisation(net, mean, std).eval()


def fold_standardisation(net: TemperatureNet, mean: Floats, std: Floats) -> TemperatureNet:
    """W ((x - mean) / std) + b = (W / std) x + (b - (W / std) mean)."""
    folded = copy.deepcopy(net)
    with torch.no_grad():
        folded.rnn.weight_ih_l0 /= torch.from_numpy(std)
        folded.rnn.bias_ih_l0 -= folded.rnn.weight_ih_l0 @ torch.from_numpy(mean)
    return folded


def mean_absolute_error(net: TemperatureNet, x: Floats, target: Floats) -> float:
    """Over all windows and all 12 hours, degrees Celsius."""
    with torch.no_grad():
        return float((net(torch.from_numpy(x)) - torch.from_numpy(target)).abs().mean())


def export(kind: str, net: TemperatureNet) -> None:
    """Write the network for batch 1, 24 steps, by the TorchScript exporter: the newer one unrolls nn.RNN."""
    path = HERE / f"temperature_{kind}.onnx"
    torch.onnx.export(
        net,
        (torch.zeros(1, HOURS_IN, FEATURES),),
        path,
        dynamo=False,
        opset_version=17,
        input_names=["x"],
        output_names=["y"],
    )
    print(f"{path.name}: {sum(p.numel() for p in net.parameters())} parameters, {path.stat().st_size} bytes")


def main() -> None:
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    (train_x, train_target), (test_x, test_target) = split()
    print(f"no change at all would err by {np.abs(test_target).mean():.3f} degrees on the held-out windows")
    for kind in HIDDEN:
        net = train(kind, train_x, train_target)
        print(f"{kind}: held-out windows, {mean_absolute_error(net, test_x, test_target):.4f} degrees")
        export(kind, net)


if __name__ == "__main__":
    main()
