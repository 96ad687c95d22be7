"""Trains an encoder and a decoder that write short words backwards, and exports each of them.

    python train.py [--steps N]

A word of 3 to 8 letters goes into the encoder, letter by letter. Its state after the last letter is where the decoder
starts from; the decoder is given the letter that it wrote last, a start sign at first, and ends with an end sign.
Writes encoder.onnx, decoder.onnx and words.npz (calibration and held-out words). Needs PyTorch.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

LETTERS, SHORTEST, LONGEST = 12, 3, 8
START, END = LETTERS, LETTERS + 1
SIGNS, HIDDEN, EMBEDDED, BATCH = LETTERS + 2, 48, 12, 128
HERE = Path(__file__).parent


class Encoder(nn.Module):
    """Letters ``[1, time]`` to the state after the last, h and c ``[1, 1, 48]``."""

    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Embedding(SIGNS, EMBEDDED)
        self.lstm = nn.LSTM(EMBEDDED, HIDDEN, batch_first=True)

    def forward(self, letters: Tensor) -> tuple[Tensor, Tensor]:
        state: tuple[Tensor, Tensor] = self.lstm(self.table(letters))[1]
        return state


class Decoder(nn.Module):
    """The last sign and the state to the scores of the next sign ``[1, time, 14]`` and the state after it."""

    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Embedding(SIGNS, EMBEDDED)
        self.lstm = nn.LSTM(EMBEDDED, HIDDEN, batch_first=True)
        self.head = nn.Linear(HIDDEN, SIGNS)

    def forward(self, sign: Tensor, h: Tensor, c: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        y, (h, c) = self.lstm(self.table(sign), (h, c))
        return self.head(y), h, c


def words(rng: np.random.Generator, count: int, length: int) -> tuple[Tensor, Tensor, Tensor]:
    """Words of one length: what the encoder is given, what the decoder is given, and what it shall say."""
    letters = rng.integers(0, LETTERS, (count, length))
    backwards = letters[:, ::-1]
    given = np.concatenate([np.full((count, 1), START), backwards], 1)
    wanted = np.concatenate([backwards, np.full((count, 1), END)], 1)
    return torch.from_numpy(letters.copy()), torch.from_numpy(given), torch.from_numpy(wanted)


def train(steps: int) -> tuple[Encoder, Decoder]:
    """Teacher forcing, gradients clipped."""
    torch.manual_seed(1)
    rng, encoder, decoder = np.random.default_rng(1), Encoder(), Decoder()
    parameters = [*encoder.parameters(), *decoder.parameters()]
    optimizer = torch.optim.Adam(parameters, 4e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 8e-3, total_steps=steps)
    for step in range(steps):
        letters, given, wanted = words(rng, BATCH, int(rng.integers(SHORTEST, LONGEST + 1)))
        scores, _, _ = decoder(given, *encoder(letters))
        loss = nn.functional.cross_entropy(scores.flatten(0, 1), wanted.flatten())
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        schedule.step()
        if step % 500 == 499:
            print(f"step {step + 1}: loss {loss.item():.4f}", flush=True)
    return encoder.eval(), decoder.eval()


def accuracy(encoder: Encoder, decoder: Decoder) -> float:
    """The share of fresh words that are written backwards without a mistake, each sign the likeliest."""
    rng, right = np.random.default_rng(2), 0
    for length in range(SHORTEST, LONGEST + 1):
        letters, given, wanted = words(rng, 100, length)
        state, sign = encoder(letters), given[:, :1]
        written = []
        for _ in range(length + 1):
            scores, *state = decoder(sign, *state)
            sign = scores.argmax(-1)
            written.append(sign)
        right += int((torch.cat(written, 1) == wanted).all(1).sum())
    return right / (100 * (LONGEST - SHORTEST + 1))


def export(encoder: Encoder, decoder: Decoder) -> None:
    """One file for each; the time axis of the encoder is open, the decoder takes one sign a call."""
    letters, state = torch.zeros(1, 5, dtype=torch.int64), torch.zeros(1, 1, HIDDEN)
    torch.onnx.export(
        encoder,
        (letters,),
        str(HERE / "encoder.onnx"),
        input_names=["letters"],
        output_names=["h", "c"],
        dynamic_axes={"letters": {1: "time"}},
        dynamo=False,
    )
    torch.onnx.export(
        decoder,
        (letters[:, :1], state, state),
        str(HERE / "decoder.onnx"),
        input_names=["sign", "h_in", "c_in"],
        output_names=["scores", "h_out", "c_out"],
        dynamo=False,
    )


def data() -> None:
    """Calibration: words of one length, what the encoder and the decoder are given. Test: words of all lengths."""
    rng = np.random.default_rng(3)
    letters, given, _ = words(rng, 64, LONGEST)
    test = rng.integers(0, LETTERS, (120, LONGEST))
    lengths = rng.integers(SHORTEST, LONGEST + 1, 120)
    np.savez_compressed(
        HERE / "calib.npz", letters=letters.numpy().astype(np.uint8), sign=given.numpy().astype(np.uint8)
    )
    np.savez_compressed(HERE / "words.npz", letters=test.astype(np.uint8), lengths=lengths.astype(np.uint8))


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--steps", type=int, default=3000)
    encoder, decoder = train(parser.parse_args().steps)
    with torch.no_grad():
        print(f"words without a mistake: {accuracy(encoder, decoder):.3f}")
    export(encoder, decoder)
    data()
