"""Random torch modules, exported here and now, stream as they run; where torch is not installed, it is skipped."""

from __future__ import annotations

import io
from random import Random
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings

from tests.support.sequences import STEPS, follows
from tests.support.strategies import choices

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
    return content(nn.Sequential(*layers).eval(), first, dynamo)


def content(model: Any, columns: int, dynamo: bool) -> bytes:
    """A module of x ``[1, STEPS, columns]`` as a file."""
    file = io.BytesIO()
    names: dict[str, Any] = {"input_names": ["x"], "output_names": ["y"], "verbose": False}
    if dynamo:
        torch.onnx.export(model, (torch.randn(1, STEPS, columns),), dynamo=True, **names).save(file)
    else:
        torch.onnx.export(model, (torch.randn(1, STEPS, columns),), file, dynamo=False, opset_version=17, **names)
    return file.getvalue()


@pytest.mark.filterwarnings("ignore")
@settings(max_examples=16, suppress_health_check=[HealthCheck.too_slow])
@given(choices())
def test_torchscript_exports(choose: Random) -> None:
    follows(exported(choose, dynamo=False))


@pytest.mark.filterwarnings("ignore")
@settings(max_examples=4, suppress_health_check=[HealthCheck.too_slow])
@given(choices())
def test_dynamo_exports(choose: Random) -> None:
    pytest.importorskip("onnxscript")
    follows(exported(choose, dynamo=True))


# --------------------------------------------------------------------------- cells in a Python loop


class Loop(nn.Module):  # type: ignore[misc, name-defined]
    """A cell, called for each step from zeros on: from x and the states to an output and the new states."""

    columns, hidden = 3, 4

    def __init__(self) -> None:
        super().__init__()
        self.x, self.h = nn.Linear(self.columns, 4 * self.hidden), nn.Linear(self.hidden, 4 * self.hidden, bias=False)
        self.out = nn.Linear(self.hidden, 2)

    def forward(self, x: Any) -> Any:
        states, results = self.start(), []
        for t in range(STEPS):
            result, states = self.step(self.x(x[:, t]).chunk(4, -1), *states)
            results.append(self.out(result))
        return torch.stack(results, 1)

    def start(self) -> Any:
        """The first states."""
        return [torch.zeros(1, self.hidden)]

    def step(self, gates: Any, *states: Any) -> Any:
        """One step."""
        raise NotImplementedError


class MinGru(Loop):
    """A candidate chosen by its own sign."""

    def step(self, gates: Any, *states: Any) -> Any:
        z, n = torch.sigmoid(gates[0]), gates[1]
        h = (1 - z) * states[0] + z * torch.where(n >= 0, n + 0.5, torch.sigmoid(n))
        return h, [h]


class Stabilised(Loop):
    """sLSTM."""

    def start(self) -> Any:
        return [torch.zeros(1, self.hidden) for _ in range(4)]

    def step(self, gates: Any, *states: Any) -> Any:
        h, c, n, m = states
        z, i, f, o = (a + b for a, b in zip(gates, self.h(h).chunk(4, -1), strict=True))
        f = nn.functional.logsigmoid(f)
        top = torch.maximum(f + m, i)
        keep, take = torch.exp(f + m - top), torch.exp(i - top)
        c, n = keep * c + take * torch.tanh(z), keep * n + take
        h = torch.sigmoid(o) * c / n
        return h, [h, c, n, top]


class Delta(Loop):
    """Gated DeltaNet."""

    def start(self) -> Any:
        return [torch.zeros(1, self.hidden, self.hidden)]

    def step(self, gates: Any, *states: Any) -> Any:
        q, k, v, a = gates
        k = nn.functional.normalize(k, dim=-1).unsqueeze(-1)
        s = torch.sigmoid(a[:, :1, None]) * states[0]
        s = s + (v.unsqueeze(-1) - s @ k) @ k.transpose(1, 2)
        return (s @ q.unsqueeze(-1)).squeeze(-1), [s]


class Spiking(Loop):
    """Leaky integrate-and-fire."""

    def step(self, gates: Any, *states: Any) -> Any:
        v = 0.9 * states[0] + gates[0]
        spike = (v > 0.5).float()
        return spike, [v - 0.5 * spike]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("dynamo", [False, True])
@pytest.mark.parametrize("cell", [MinGru, Stabilised, Delta, Spiking])
def test_unrolled_cells(cell: type[Loop], dynamo: bool) -> None:
    if dynamo:
        pytest.importorskip("onnxscript")
    torch.manual_seed(0)
    net = follows(content(cell().eval(), Loop.columns, dynamo))
    assert net.inputs[0].shape == (Loop.columns,) and net.feedback
