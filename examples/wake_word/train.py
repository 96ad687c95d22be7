"""Train the example's GRU on train.npz and write wake_word.onnx.

    python prepare.py && python train.py

At the end of the wake phrase the answer is yes for a quarter of a second. Around that, where one could say either, no answer
is asked for; everywhere else it is no.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from logmel import BANDS
from prepare import HERE

SEED = 0
HIDDEN = 40
EPOCHS = 60
BATCH = 50
LEARNING_RATE = 6e-3
MAX_GRADIENT_NORM = 1.0
EARLY, LATE, AFTERWARDS = 3, 12, 25
"""Yes is asked from EARLY steps before the end of the phrase to LATE after it; around that nothing is, to AFTERWARDS."""

Floats = NDArray[np.float32]


class WakeNet(nn.Module):
    """x [1, time, 16] log-mel features, 1/8 octave, to y [1, time, 1]: above 0 where the wake phrase has just ended."""

    def __init__(self) -> None:
        super().__init__()
        self.rnn = nn.GRU(BANDS, HIDDEN, batch_first=True)
        self.head = nn.Linear(HIDDEN, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        answer: torch.Tensor = self.head(self.rnn(x)[0])
        return answer


def targets(data: dict[str, NDArray[np.int64]], steps: int) -> tuple[Floats, Floats]:
    """What to answer [streams, steps], and where it is asked for (1) or not (0)."""
    streams = len(data["x"])
    target, asked = np.zeros((streams, steps), np.float32), np.ones((streams, steps), np.float32)
    for stream, end in zip(data["stream"][data["wake"] == 1], data["end"][data["wake"] == 1], strict=True):
        asked[stream, end - 3 * EARLY : end + AFTERWARDS] = 0
        asked[stream, end - EARLY : end + LATE] = 1
        target[stream, end - EARLY : end + LATE] = 1
    return target, asked


def disturbed(x: torch.Tensor) -> torch.Tensor:
    """Other loudness and tone of the microphone, a noise floor that hides what is below it, and a few bands lost."""
    streams, tone = len(x), torch.linspace(-1, 1, BANDS)
    x = x + 0.4 * torch.randn(streams, 1, 1) + 0.3 * torch.randn(streams, 1, 1) * tone
    floor = -2.5 + 2.5 * torch.rand(streams, 1, 1) + 0.4 * torch.randn(streams, 1, 1) * tone
    x = torch.maximum(x, floor + 0.15 * torch.randn(x.shape))
    first, lost = torch.randint(0, BANDS, (streams, 1, 1)), torch.randint(0, 4, (streams, 1, 1))
    band = torch.arange(BANDS)
    return torch.where((band >= first) & (band < first + lost), floor, x)


def train(data: dict[str, NDArray[np.int64]]) -> WakeNet:
    """Train a network that takes features as the front end gives them."""
    torch.manual_seed(SEED)
    x = data["x"].astype(np.float32)
    mean, std = x.mean(axis=(0, 1)), x.std(axis=(0, 1))
    inputs = torch.from_numpy((x - mean) / std)
    target, asked = (torch.from_numpy(a) for a in targets(data, x.shape[1]))
    net = WakeNet()
    optimizer = torch.optim.AdamW(net.parameters(), lr=LEARNING_RATE, weight_decay=1e-2)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, LEARNING_RATE, EPOCHS * -(-len(x) // BATCH))
    for epoch in range(1, EPOCHS + 1):
        losses = []
        for chosen in torch.randperm(len(x)).split(BATCH):
            logits = net(disturbed(inputs[chosen]))[..., 0]
            loss = nn.functional.binary_cross_entropy_with_logits(logits, target[chosen], asked[chosen])
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(net.parameters(), MAX_GRADIENT_NORM)
            optimizer.step()
            schedule.step()
            losses.append(loss.item())
        if epoch % 5 == 0:
            print(f"epoch {epoch} of {EPOCHS}: loss {np.mean(losses):.4f}", flush=True)
    with torch.no_grad():  # W ((x - mean) / std) + b = (W / std) x + (b - (W / std) mean)
        net.rnn.weight_ih_l0 /= torch.from_numpy(std)
        net.rnn.bias_ih_l0 -= net.rnn.weight_ih_l0 @ torch.from_numpy(mean)
    return net.eval()


def export(net: WakeNet) -> None:
    """Write the network for batch 1 and any number of steps, by the TorchScript exporter: the newer one writes paths."""
    path = HERE / "wake_word.onnx"
    torch.onnx.export(
        net,
        (torch.zeros(1, 50, BANDS),),
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
    with np.load(HERE / "train.npz") as archive:
        data = dict(archive)
    net = train(data)
    with np.load(HERE / "test.npz") as archive:
        held_out = dict(archive)
    target, asked = targets(held_out, held_out["x"].shape[1])
    with torch.no_grad():
        answer = net(torch.from_numpy(held_out["x"].astype(np.float32)))[..., 0].numpy()
    right = ((answer > 0) == (target > 0))[asked > 0].mean()
    print(f"held-out streams: {right:.2%} of the answers asked for are right; utterances are counted by task.py")
    export(net)


if __name__ == "__main__":
    main()
