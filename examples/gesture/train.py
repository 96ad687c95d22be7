"""Train the example's GRU and write gesture.onnx.

    python train.py              train on subjects 1 to 7, write gesture.onnx, print accuracy on subjects 8 to 10
    python train.py --validate   three-fold cross-validation over subjects 1 to 7 instead; writes nothing

The network sees what the part will see: an endless stream in which one exercise follows another. Each of the BATCH lanes
is such a stream, glued together from random stretches of the training recordings; training is truncated back-propagation
through time, with the state carried from one window to the next and the gradient clipped. Every step has a loss, except
the first two seconds after a change of exercise, when nobody could know.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from prepare import CHANNELS, CLASSES, HERE, RATE, TEST_SUBJECTS, Recording, load_recordings, split

SEED = 0
HIDDEN = 32
ITERATIONS = 1000
BATCH = 48
WINDOW = round(4 * RATE)
"""Steps of back-propagation through time."""
WARM_UP = round(2 * RATE)
"""Steps without a loss, and without a verdict, after a change of exercise."""
SEGMENT_SECONDS = (5.0, 20.0)
RESET_PROBABILITY = 0.1
"""How often a lane starts a window from the zero state, so that the net also learns the start of a stream."""
LEARNING_RATE = 4e-3
WEIGHT_DECAY = 1e-3
LABEL_SMOOTHING = 0.05
MAX_GRADIENT_NORM = 1.0
IGNORED = -100
"""Label of a step without a loss."""

TEMPO = 0.3
"""Augmentation: speed changes by a factor of exp(-TEMPO) to exp(TEMPO)."""
TILT_DEGREES = 10.0
"""Augmentation: standard deviation of the angle by which the strap sits differently."""
GAIN = 0.1
"""Augmentation: standard deviation of a common gain."""
MIRROR = np.array([-1, 1, 1, 1, -1, -1], dtype=np.float32)
"""Augmentation: the other wrist. A mirror flips one axis of acceleration, and the other two of rotation."""

VALIDATION_FOLDS = ((1, 2), (3, 4), (5, 6, 7))

Floats = NDArray[np.float32]
Ints = NDArray[np.int64]


class GestureNet(nn.Module):
    """x [1, time, 6] to logits [1, time, 7], one verdict a step."""

    def __init__(self) -> None:
        super().__init__()
        self.rnn = nn.GRU(CHANNELS, HIDDEN, batch_first=True)
        self.head = nn.Linear(HIDDEN, len(CLASSES))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.advance(x, None)[0]

    def advance(self, x: torch.Tensor, state: torch.Tensor | None) -> tuple[torch.Tensor, torch.Tensor]:
        """As forward, from a given state, and the state at the end."""
        hidden, state = self.rnn(x, state)
        return self.head(hidden), state


def rotation(rng: np.random.Generator) -> NDArray[np.float64]:
    """A small random rotation matrix (Rodrigues' formula)."""
    axis = rng.normal(size=3)
    x, y, z = axis / np.linalg.norm(axis)
    angle = np.deg2rad(rng.normal() * TILT_DEGREES)
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    matrix: NDArray[np.float64] = np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * cross @ cross
    return matrix


def augmented_segment(recording: Recording, rng: np.random.Generator) -> Floats:
    """A random stretch of a recording, at another tempo, with another strap position and perhaps on the other wrist."""
    tempo = float(np.exp(rng.uniform(-TEMPO, TEMPO)))
    steps = min(int(rng.uniform(*SEGMENT_SECONDS) * RATE), int((len(recording.x) - 2) / tempo))
    start = rng.integers(0, len(recording.x) - int(steps * tempo) - 1)
    time = start + np.arange(steps) * tempo
    index = time.astype(np.int64)
    fraction = (time - index)[:, None]
    x = recording.x[index] * (1 - fraction) + recording.x[index + 1] * fraction
    turn = rotation(rng).T * (1 + GAIN * rng.normal())
    x = np.concatenate([x[:, :3] @ turn, x[:, 3:] @ turn * tempo], axis=1)
    if rng.random() < 0.5:
        x = x * MIRROR
    return x.astype(np.float32)


@dataclass
class Lane:
    """One endless stream of exercises."""

    recordings: Sequence[Recording]
    rng: np.random.Generator
    x: Floats = field(default_factory=lambda: np.zeros((0, CHANNELS), dtype=np.float32))
    label: Ints = field(default_factory=lambda: np.zeros(0, dtype=np.int64))

    def window(self) -> tuple[Floats, Ints]:
        """The next WINDOW steps and their labels."""
        while len(self.x) < WINDOW:
            recording = self.recordings[int(self.rng.integers(len(self.recordings)))]
            x = augmented_segment(recording, self.rng)
            label = np.full(len(x), recording.label, dtype=np.int64)
            label[:WARM_UP] = IGNORED
            self.x = np.concatenate([self.x, x])
            self.label = np.concatenate([self.label, label])
        x, self.x = self.x[:WINDOW], self.x[WINDOW:]
        label, self.label = self.label[:WINDOW], self.label[WINDOW:]
        return x, label


def windows(lanes: Sequence[Lane]) -> Iterator[tuple[Floats, torch.Tensor]]:
    """Batches [BATCH, WINDOW, ...]; each continues the one before."""
    while True:
        x, label = zip(*(lane.window() for lane in lanes), strict=True)
        yield np.stack(x), torch.from_numpy(np.stack(label))


def train(recordings: Sequence[Recording]) -> GestureNet:
    """Train a network that takes raw units."""
    torch.manual_seed(SEED)
    rng = np.random.default_rng(SEED)
    everything = np.concatenate([r.x for r in recordings])
    mean, std = everything.mean(axis=0), everything.std(axis=0)

    net = GestureNet()
    optimizer = torch.optim.AdamW(net.parameters(), lr=LEARNING_RATE, weight_decay=WEIGHT_DECAY)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, LEARNING_RATE, ITERATIONS, pct_start=0.15)
    lanes = [Lane(recordings, rng) for _ in range(BATCH)]
    state = torch.zeros(1, BATCH, HIDDEN)
    for iteration, (x, label) in zip(range(1, ITERATIONS + 1), windows(lanes), strict=False):
        keep = torch.from_numpy(rng.random((1, BATCH, 1)) > RESET_PROBABILITY)
        logits, state = net.advance(torch.from_numpy((x - mean) / std), state.detach() * keep)
        loss = nn.functional.cross_entropy(
            logits.flatten(0, 1), label.flatten(), ignore_index=IGNORED, label_smoothing=LABEL_SMOOTHING
        )
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(net.parameters(), MAX_GRADIENT_NORM)
        optimizer.step()
        schedule.step()
        if iteration % 100 == 0:
            print(f"iteration {iteration} of {ITERATIONS}: loss {loss.item():.3f}", flush=True)
    fold_standardisation(net, mean, std)
    return net.eval()


def fold_standardisation(net: GestureNet, mean: Floats, std: Floats) -> None:
    """W ((x - mean) / std) + b = (W / std) x + (b - (W / std) mean)."""
    with torch.no_grad():
        net.rnn.weight_ih_l0 /= torch.from_numpy(std)
        net.rnn.bias_ih_l0 -= net.rnn.weight_ih_l0 @ torch.from_numpy(mean)


def predict(net: GestureNet, x: Floats) -> Ints:
    """The verdict at each step."""
    with torch.no_grad():
        verdict: Ints = net(torch.from_numpy(x)[None])[0].argmax(dim=1).numpy()
    return verdict


def accuracy(net: GestureNet, recordings: Sequence[Recording]) -> dict[str, float]:
    """Shares of right verdicts: of all steps after the warm-up, of last steps, of majorities within a recording."""
    right_steps, right_last, right_majority = [], [], []
    for recording in recordings:
        verdict = predict(net, recording.x)
        right_steps.append(verdict[WARM_UP:] == recording.label)
        right_last.append(verdict[-1] == recording.label)
        right_majority.append(np.bincount(verdict[WARM_UP:]).argmax() == recording.label)
    return {
        "steps": float(np.concatenate(right_steps).mean()),
        "last step": float(np.mean(right_last)),
        "majority": float(np.mean(right_majority)),
    }


def show(title: str, figures: dict[str, float]) -> None:
    print(f"{title}: " + ", ".join(f"{name} {100 * value:.1f} %" for name, value in figures.items()), flush=True)


def validate(recordings: Sequence[Recording]) -> None:
    """Cross-validation over the training subjects: what the settings above were chosen by."""
    for fold in VALIDATION_FOLDS:
        net = train([r for r in recordings if r.subject not in fold])
        show(f"subjects {fold} left out", accuracy(net, [r for r in recordings if r.subject in fold]))


def export(net: GestureNet) -> None:
    """Write the network as a sequence graph: batch 1, any number of steps.

    The TorchScript exporter, because the newer one writes the paths of this machine's source files into the model.
    """
    path = HERE / "gesture.onnx"
    torch.onnx.export(
        net,
        (torch.zeros(1, WINDOW, CHANNELS),),
        path,
        dynamo=False,
        opset_version=17,
        input_names=["x"],
        output_names=["logits"],
        dynamic_axes={"x": {1: "time"}, "logits": {1: "time"}},
    )
    print(f"{path.name}: {sum(p.numel() for p in net.parameters())} parameters, {path.stat().st_size} bytes")


def main() -> None:
    parser = argparse.ArgumentParser(description="Train the gesture example.")
    parser.add_argument(
        "--validate", action="store_true", help="cross-validate over the training subjects; write nothing"
    )
    arguments = parser.parse_args()

    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    train_set, test_set = split(load_recordings())
    if arguments.validate:
        validate(train_set)
        return
    net = train(train_set)
    show("training subjects", accuracy(net, train_set))
    show(f"held-out subjects {TEST_SUBJECTS}", accuracy(net, test_set))
    export(net)


if __name__ == "__main__":
    main()
