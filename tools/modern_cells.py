"""Gated, spiking and continuous-time cells in plain torch, a step at a time; with those of linear_cells: all by name."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from linear_cells import (
    LRU,
    MLSTM,
    RWKV4,
    RWKV5,
    RWKV6,
    RWKV7,
    S4D,
    SLSTM,
    Cell,
    DeltaNet,
    H,
    K,
    Mamba,
    Mamba2,
    MinGRU,
    MinLSTM,
    RetNet,
    S4Dpair,
    X,
)
from torch import nn
from torch.nn import functional

WINDOW = 8.0
"""Steps that an LMU remembers."""


class LMU(Cell):
    """Legendre memory unit (Voelker, Kajic and Eliasmith 2019): its memory of WINDOW steps is held still between steps."""

    def init(self) -> None:
        self.lin("ex", X, 1, False)
        self.lin("eh", H, 1, False)
        self.lin("em", K, 1, False)
        self.lin("wx", X, H)
        self.lin("wh", H, H, False)
        self.lin("wm", K, H, False)
        with torch.no_grad():  # the paper starts it from 0
            self.em.weight *= 0.05
        i, j = np.arange(K)[:, None], np.arange(K)[None]
        a = (2 * i + 1) / WINDOW * np.where(i < j, -1.0, (-1.0) ** (i - j + 1))
        b = (2 * i + 1) / WINDOW * (-1.0) ** i
        held = torch.linalg.matrix_exp(torch.tensor(np.block([[a, b], [np.zeros((1, K + 1))]])))
        self.register_buffer("A", held[:K, :K].float())
        self.register_buffer("B", held[:K, K:].float())
        self.shapes = [(H,), (K,)]

    def step(self, x: Any, h: Any, m: Any) -> Any:
        u = self.ex(x) + self.eh(h) + self.em(m)
        m = functional.linear(m, self.A) + functional.linear(u, self.B)
        h = torch.tanh(self.wx(x) + self.wh(h) + self.wm(m))
        return (h, (h, m))


class CfC(Cell):
    """Closed-form continuous-time cell."""

    def init(self) -> None:
        self.lin("bb", X + H, 8)
        for n in ("f1", "f2", "ta", "tb"):
            self.lin(n, 8, H)
        self.shapes = [(H,)]

    def step(self, x: Any, h: Any) -> Any:
        z = 1.7159 * torch.tanh(0.666 * self.bb(torch.cat([x, h], 1)))
        a = torch.tanh(self.f1(z))
        b = torch.tanh(self.f2(z))
        t = torch.sigmoid(self.ta(z) * 1.0 + self.tb(z))
        h = a * (1 - t) + t * b
        return (h, (h,))


class LTC(Cell):
    """Liquid time-constant cell: substeps of a solver."""

    def init(self) -> None:
        def positive(*a: int) -> Any:
            return nn.Parameter(torch.rand(*a) * 0.5 + 0.3)

        self.gl = positive(H)
        self.vl = positive(H)
        self.cm = positive(H)
        self.mu = positive(H, H)
        self.sg = positive(H, H)
        self.w = positive(H, H)
        self.er = nn.Parameter(torch.sign(torch.randn(H, H)))
        self.smu = positive(X, H)
        self.ssg = positive(X, H)
        self.sw = positive(X, H)
        self.ser = nn.Parameter(torch.sign(torch.randn(X, H)))
        self.shapes = [(H,)]

    def step(self, x: Any, v: Any) -> Any:
        sa = functional.softplus(self.sw) * torch.sigmoid(self.ssg * (x.unsqueeze(-1) - self.smu))
        sr = (sa * self.ser).sum(1)
        sd = sa.sum(1)
        for _ in range(3):
            a = functional.softplus(self.w) * torch.sigmoid(self.sg * (v.unsqueeze(-1) - self.mu))
            num = self.cm * 3 * v + self.gl * self.vl + (a * self.er).sum(1) + sr
            den = self.cm * 3 + self.gl + a.sum(1) + sd
            v = num / (den + 1e-08)
        return (v, (v,))


class FastGRNN(Cell):
    """FastGRNN: low-rank weights."""

    def init(self) -> None:
        self.w1 = nn.Parameter(torch.randn(X, 2))
        self.w2 = nn.Parameter(torch.randn(2, H))
        self.u1 = nn.Parameter(torch.randn(H, 2) * 0.4)
        self.u2 = nn.Parameter(torch.randn(2, H))
        self.bg = nn.Parameter(torch.ones(1, H))
        self.bu = nn.Parameter(torch.ones(1, H))
        self.ze = nn.Parameter(torch.ones(1, 1))
        self.nu = nn.Parameter(-4 * torch.ones(1, 1))
        self.shapes = [(H,)]

    def step(self, x: Any, h: Any) -> Any:
        pre = x @ self.w1 @ self.w2 + h @ self.u1 @ self.u2
        z = torch.sigmoid(pre + self.bg)
        c = torch.tanh(pre + self.bu)
        h = z * h + (torch.sigmoid(self.ze) * (1 - z) + torch.sigmoid(self.nu)) * c
        return (h, (h,))


class SRU(Cell):
    """Simple recurrent unit."""

    def init(self) -> None:
        self.lin("w", X, 4 * H, False)
        self.vf = nn.Parameter(torch.rand(H))
        self.vr = nn.Parameter(torch.rand(H))
        self.bf = nn.Parameter(torch.rand(H))
        self.br = nn.Parameter(torch.rand(H))
        self.shapes = [(H,)]

    def step(self, x: Any, c: Any) -> Any:
        u = self.w(x).view(-1, H, 4)
        f = torch.sigmoid(u[..., 1] + self.vf * c + self.bf)
        r = torch.sigmoid(u[..., 2] + self.vr * c + self.br)
        c = f * c + (1 - f) * u[..., 0]
        return (r * c + (1 - r) * u[..., 3], (c,))


class QRNN(Cell):
    """Quasi-recurrent network: the last input beside the new one."""

    def init(self) -> None:
        self.lin("w", 2 * X, 3 * H)
        self.shapes = [(H,), (X,)]

    def step(self, x: Any, c: Any, p: Any) -> Any:
        z, f, o = self.w(torch.cat([p, x], -1)).chunk(3, -1)
        f = f.sigmoid()
        c = f * c + (1 - f) * z.tanh()
        return (o.sigmoid() * c, (c, x))


class IndRNN(Cell):
    """IndRNN: units on their own."""

    def init(self) -> None:
        self.lin("w", X, H)
        self.u = nn.Parameter(torch.rand(H))
        self.shapes = [(H,)]

    def step(self, x: Any, h: Any) -> Any:
        h = functional.relu(self.w(x) + self.u * h)
        return (h, (h,))


class JANET(Cell):
    """JANET: a forget gate alone."""

    def init(self) -> None:
        self.lin("w", X, 2 * H)
        self.lin("u", H, 2 * H, False)
        self.shapes = [(H,)]

    def step(self, x: Any, c: Any) -> Any:
        a, g = (self.w(x) + self.u(c)).chunk(2, -1)
        c = torch.sigmoid(a) * c + (1 - torch.sigmoid(a - 1.0)) * torch.tanh(g)
        return (c, (c,))


class MGU(Cell):
    """Minimal gated unit."""

    def init(self) -> None:
        self.lin("f", X + H, H)
        self.lin("h", X + H, H)
        self.shapes = [(H,)]

    def step(self, x: Any, h: Any) -> Any:
        f = torch.sigmoid(self.f(torch.cat([x, h], -1)))
        n = torch.tanh(self.h(torch.cat([x, f * h], -1)))
        h = (1 - f) * h + f * n
        return (h, (h,))


class ESN(Cell):
    """Echo state network."""

    def init(self) -> None:
        self.register_buffer("win", torch.randn(H, X) * 0.4)
        self.register_buffer("w", torch.randn(H, H) * 0.3)
        self.lin("o", H, H)
        self.shapes = [(H,)]

    def step(self, x: Any, h: Any) -> Any:
        h = 0.7 * h + 0.3 * torch.tanh(functional.linear(x, self.win) + functional.linear(h, self.w))
        return (self.o(h), (h,))


class LIF(Cell):
    """Leaky integrate-and-fire, reset by subtraction."""

    def init(self) -> None:
        self.lin("w", X, H)
        self.lin("o", H, H)
        self.shapes = [(H,)]

    def step(self, x: Any, v: Any) -> Any:
        v = 0.9 * v + self.w(x)
        k = (v > 0.5).float()
        return (self.o(k), (v - k * 0.5,))


class ODERNN(Cell):
    """ODE-RNN: substeps of a solver between the inputs."""

    def init(self) -> None:
        self.f = nn.Sequential(nn.Linear(H, 5), nn.Tanh(), nn.Linear(5, H))
        self.c = nn.GRUCell(X, H)
        self.shapes = [(H,)]

    def step(self, x: Any, h: Any) -> Any:
        for _ in range(3):
            h = h + 0.1 * self.f(h)
        h = self.c(x, h)
        return (h, (h,))


class PLSTM(Cell):
    """Phased LSTM: an LSTM cell that opens by phase."""

    def init(self) -> None:
        self.c = nn.LSTMCell(X, H)
        self.tau = nn.Parameter(torch.rand(H) + 0.5)
        self.sh = nn.Parameter(torch.rand(H))
        self.shapes = [(H,), (H,)]

    def step(self, x: Any, h: Any, c: Any) -> Any:
        t = x[:, :1].abs()
        phi = torch.fmod(t - self.sh, self.tau).abs() / self.tau
        k = torch.where(phi < 0.5, 2 * phi / 0.5 * 0.5, torch.where(phi < 0.8, 2 - 2 * phi, 0.01 * phi))
        nh, nc = self.c(x, (h, c))
        h = k * nh + (1 - k) * h
        c = k * nc + (1 - k) * c
        return (h, (h, c))


CELLS = {
    "minGRU": MinGRU,
    "minLSTM": MinLSTM,
    "Mamba": Mamba,
    "Mamba-2": Mamba2,
    "RWKV-4": RWKV4,
    "RWKV-5": RWKV5,
    "RWKV-6": RWKV6,
    "RWKV-7": RWKV7,
    "S4D": S4D,
    "S4D, one state of pairs": S4Dpair,
    "S5, LRU": LRU,
    "RetNet": RetNet,
    "sLSTM": SLSTM,
    "mLSTM": MLSTM,
    "gated DeltaNet": DeltaNet,
    "LMU": LMU,
    "CfC": CfC,
    "LTC": LTC,
    "FastGRNN": FastGRNN,
    "SRU": SRU,
    "QRNN": QRNN,
    "IndRNN": IndRNN,
    "JANET": JANET,
    "MGU": MGU,
    "ESN": ESN,
    "LIF": LIF,
    "ODE-RNN": ODERNN,
    "phased LSTM": PLSTM,
}
