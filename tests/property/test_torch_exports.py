"""Random torch modules, exported here and now, stream as they run; where torch is not installed, it is skipped."""

from __future__ import annotations

import io
from random import Random
from typing import Any

import pytest

from tests.support.sequences import STEPS, follows

torch = pytest.importorskip("torch")
nn = torch.nn


class Along(nn.Module):  # type: ignore[misc, name-defined]
    """A module of ``[1, channels, time]`` used on ``[1, time, channels]``."""

    def __init__(self, inner: Any, before: tuple[int, int] = (0, 0)) -> None:
        super().__init__()
        self.inner, self.before = inner, before

    def forward(self, x: Any) -> Any:
        return self.inner(nn.functional.pad(x.transpose(1, 2), self.before)).transpose(1, 2)


class First(nn.Module):  # type: ignore[misc, name-defined]
    """The sequence that a recurrent layer gives."""

    def __init__(self, inner: Any) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, x: Any) -> Any:
        return self.inner(x)[0]


class Beside(nn.Module):  # type: ignore[misc, name-defined]
    """x + f(x)."""

    def __init__(self, inner: Any) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, x: Any) -> Any:
        return x + self.inner(x)


def layer(choose: Random, n: int) -> tuple[Any, int]:
    """A random module of ``[1, time, n]``, and what n is behind it."""
    out, kernel, dilation = choose.randint(1, 5), choose.randint(1, 4), choose.randint(1, 2)
    causal = ((kernel - 1) * dilation, 0)
    kind = choose.randrange(9)
    if kind == 0:
        return Along(nn.Conv1d(n, out, kernel, dilation=dilation), causal), out
    if kind == 1:
        return Along(nn.Conv1d(n, n, 3, padding=1, groups=n)), n
    if kind == 2:
        return First(nn.LSTM(n, out, num_layers=choose.randint(1, 2), batch_first=True)), out
    if kind == 3:
        return First(nn.GRU(n, out, batch_first=True)), out
    if kind == 4:
        return First(nn.RNN(n, out, nonlinearity=choose.choice(["tanh", "relu"]), batch_first=True)), out
    if kind == 5:
        return nn.Sequential(nn.Linear(n, out), choose.choice([nn.ReLU, nn.Tanh, nn.Sigmoid, nn.ELU, nn.SiLU])()), out
    if kind == 6:
        return Beside(nn.Sequential(nn.LayerNorm(n), nn.Linear(n, n))) if n > 1 else Beside(nn.Linear(n, n)), n
    if kind == 7:
        return Beside(Along(nn.Conv1d(n, n, 3, padding=1))), n
    return Along(nn.Sequential(nn.BatchNorm1d(n), nn.MaxPool1d(2, stride=1)), (1, 0)), n


def exported(choose: Random, dynamo: bool) -> bytes:
    """A model of x ``[1, STEPS, n]``."""
    torch.manual_seed(choose.randint(0, 1 << 30))
    n = first = choose.randint(1, 4)
    layers = []
    for _ in range(choose.randint(1, 4)):
        module, n = layer(choose, n)
        layers.append(module)
    model = nn.Sequential(*layers).eval()
    file = io.BytesIO()
    names: dict[str, Any] = {"input_names": ["x"], "output_names": ["y"], "verbose": False}
    if dynamo:
        torch.onnx.export(model, (torch.randn(1, STEPS, first),), dynamo=True, **names).save(file)
    else:
        torch.onnx.export(model, (torch.randn(1, STEPS, first),), file, dynamo=False, opset_version=17, **names)
    return file.getvalue()


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("seed", range(16))
def test_torchscript_exports(seed: int) -> None:
    follows(exported(Random(seed), dynamo=False))


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("seed", range(100, 104))
def test_dynamo_exports(seed: int) -> None:
    pytest.importorskip("onnxscript")
    follows(exported(Random(seed), dynamo=True))
