"""Train the example's LSTM on the verse of 36 plays and write poet.onnx.

    python train.py

Each of the BATCH lanes reads its own part of the text from one end to the other: truncated back-propagation through time,
with the state carried from one window to the next and the gradient clipped. Now and then a lane starts at a speech with
the zero state, as the part does when it begins a poem.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import nn

from prepare import ALPHABET, HERE, TEST_LENGTH, TEST_PIECES, load_text, pieces, to_ids, to_text

SEED = 0
EMBEDDING = 24
HIDDEN = 128
ITERATIONS = 6000
BATCH = 48
WINDOW = 64
RESET_PROBABILITY = 0.02
LEARNING_RATE = 6e-3
MAX_GRADIENT_NORM = 1.0

State = tuple[torch.Tensor, torch.Tensor]


class PoetNet(nn.Module):
    """id [1, time] to logits [1, time, 62] of the character that follows."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(len(ALPHABET), EMBEDDING)
        self.rnn = nn.LSTM(EMBEDDING, HIDDEN, batch_first=True)
        self.head = nn.Linear(HIDDEN, len(ALPHABET))

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        return self.advance(ids, None)[0]

    def advance(self, ids: torch.Tensor, state: State | None) -> tuple[torch.Tensor, State]:
        """As forward, from a given state, and the state at the end."""
        hidden, state = self.rnn(self.embedding(ids), state)
        return self.head(hidden), state


def train(text: str) -> PoetNet:
    """Train on a text of any length."""
    torch.manual_seed(SEED)
    rng = np.random.default_rng(SEED)
    ids = torch.from_numpy(to_ids(text))
    speeches = np.array([i + 1 for i in range(len(text) - WINDOW - 3) if text[i : i + 2] == "\n\n"])
    net = PoetNet()
    optimizer = torch.optim.Adam(net.parameters(), lr=LEARNING_RATE)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, LEARNING_RATE, ITERATIONS, pct_start=0.1)
    position = np.linspace(0, len(ids) - 2, BATCH, endpoint=False).astype(np.int64)
    state = (torch.zeros(1, BATCH, HIDDEN), torch.zeros(1, BATCH, HIDDEN))
    for iteration in range(1, ITERATIONS + 1):
        jump = (rng.random(BATCH) < RESET_PROBABILITY) | (position + WINDOW + 1 >= len(ids))
        position = np.where(jump, rng.choice(speeches, BATCH), position)
        keep = torch.from_numpy(~jump)[None, :, None]
        state = (state[0].detach() * keep, state[1].detach() * keep)
        batch = ids[torch.from_numpy(position)[:, None] + torch.arange(WINDOW + 1)]
        logits, state = net.advance(batch[:, :-1], state)
        loss = nn.functional.cross_entropy(logits.flatten(0, 1), batch[:, 1:].flatten())
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(net.parameters(), MAX_GRADIENT_NORM)
        optimizer.step()
        schedule.step()
        position = position + WINDOW
        if iteration % 500 == 0:
            print(f"iteration {iteration} of {ITERATIONS}: perplexity {math.exp(loss.item()):.3f}", flush=True)
    return net.eval()


def perplexity(net: PoetNet, text: str) -> float:
    """Per character, over the pieces of test.npz."""
    ids = torch.from_numpy(pieces(text, TEST_PIECES, TEST_LENGTH))
    with torch.no_grad():
        loss = nn.functional.cross_entropy(net(ids[:, :-1]).flatten(0, 1), ids[:, 1:].flatten())
    return math.exp(loss.item())


def sample(net: PoetNet, length: int, temperature: float) -> str:
    """A text that begins with a new speech."""
    rng = np.random.default_rng(SEED)
    ids, state = [0], None
    with torch.no_grad():
        for _ in range(length):
            logits, state = net.advance(torch.tensor([[ids[-1]]]), state)
            probability = torch.softmax(logits[0, 0].double() / temperature, 0).numpy()
            ids.append(int(rng.choice(len(ALPHABET), p=probability)))
    return to_text(np.array(ids[1:]))


def export(net: PoetNet) -> None:
    """Write the network for batch 1 and any number of characters, by the TorchScript exporter: the newer one writes paths."""
    path = HERE / "poet.onnx"
    torch.onnx.export(
        net,
        (torch.zeros(1, WINDOW, dtype=torch.int64),),
        path,
        dynamo=False,
        opset_version=17,
        input_names=["id"],
        output_names=["logits"],
        dynamic_axes={"id": {1: "time"}, "logits": {1: "time"}},
    )
    print(f"{path.name}: {sum(p.numel() for p in net.parameters())} parameters, {path.stat().st_size} bytes")


def main() -> None:
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    text, held_out = load_text()
    net = train(text)
    print(f"held-out play: perplexity {perplexity(net, held_out):.4f}")
    print(sample(net, 400, 0.6))
    export(net)


if __name__ == "__main__":
    main()
