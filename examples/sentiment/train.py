"""Train the example's bidirectional GRU and write sentiment.onnx.

python train.py vaderSentiment-3.3.2.tar.gz
"""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from prepare import HERE, UNKNOWN, VOCABULARY, WORDS, Ids, load, package_path

SEED = 0
EMBEDDING = 24
HIDDEN = 24
EPOCHS = 20
BATCH = 64
LEARNING_RATE = 6e-3
WEIGHT_DECAY = 0.05
DROPOUT = 0.5
WORD_DROPOUT = 0.1
"""Share of words that become unknown in training, so that the network learns what to make of those."""
MAX_GRADIENT_NORM = 1.0


class SentimentNet(nn.Module):
    """ids [1, 24] to logits [1, 2], bad and good."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(VOCABULARY, EMBEDDING)
        self.rnn = nn.GRU(EMBEDDING, HIDDEN, batch_first=True, bidirectional=True)
        self.dropout = nn.Dropout(DROPOUT)
        self.head = nn.Linear(2 * HIDDEN, 2)

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        hidden, _ = self.rnn(self.dropout(self.embedding(ids)))
        answer: torch.Tensor = self.head(self.dropout(hidden.mean(dim=1)))
        return answer


def train(ids: Ids, label: Ids) -> SentimentNet:
    """Train on sentences and their labels."""
    torch.manual_seed(SEED)
    inputs, targets = torch.from_numpy(ids), torch.from_numpy(label)
    net = SentimentNet()
    optimizer = torch.optim.AdamW(net.parameters(), lr=LEARNING_RATE, weight_decay=WEIGHT_DECAY)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, LEARNING_RATE, EPOCHS * -(-len(ids) // BATCH))
    for epoch in range(1, EPOCHS + 1):
        losses = []
        for chosen in torch.randperm(len(ids)).split(BATCH):
            x = inputs[chosen]
            x = torch.where((torch.rand(x.shape) < WORD_DROPOUT) & (x > UNKNOWN), UNKNOWN, x)
            loss = nn.functional.cross_entropy(net(x), targets[chosen])
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(net.parameters(), MAX_GRADIENT_NORM)
            optimizer.step()
            schedule.step()
            losses.append(loss.item())
        if epoch % 5 == 0:
            print(f"epoch {epoch} of {EPOCHS}: loss {np.mean(losses):.4f}", flush=True)
    return net.eval()


def accuracy(net: SentimentNet, ids: Ids, label: Ids) -> float:
    """Share of right answers."""
    with torch.no_grad():
        return float((net(torch.from_numpy(ids)).argmax(1).numpy() == label).mean())


def export(net: SentimentNet) -> None:
    """Write the network for batch 1 and 24 words, by the TorchScript exporter: the newer one writes paths."""
    path = HERE / "sentiment.onnx"
    torch.onnx.export(
        net,
        (torch.zeros(1, WORDS, dtype=torch.int64),),
        path,
        dynamo=False,
        opset_version=17,
        input_names=["ids"],
        output_names=["logits"],
    )
    print(f"{path.name}: {sum(p.numel() for p in net.parameters())} parameters, {path.stat().st_size} bytes")


def main() -> None:
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    _, (ids, label), (held_out, held_out_label) = load(package_path())
    net = train(ids, label)
    print(f"training sentences {accuracy(net, ids, label):.2%}, held out {accuracy(net, held_out, held_out_label):.2%}")
    export(net)


if __name__ == "__main__":
    main()
