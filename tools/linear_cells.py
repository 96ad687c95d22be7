"""Linear recurrences and their kin in plain torch, a step at a time, as papers and repositories write them."""

# Names of one letter are those of the papers.

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.nn import functional

X, H, K = 3, 4, 3
"""Features of the input, units, and elements of a state beside them."""


class Cell(nn.Module):  # type: ignore[misc, unused-ignore]
    """A cell: ``step(x, *states)`` gives the output and the next states.

    ``shapes`` are those of the states, without the batch; ``starts`` what they start from, 0 where there is none.
    """

    shapes: list[tuple[int, ...]]
    starts: list[float] = []  # noqa: RUF012  a cell of other starts sets its own

    def __init__(self) -> None:
        super().__init__()
        self.init()

    def init(self) -> None:
        """Make the weights."""
        raise NotImplementedError

    def lin(self, name: str, inputs: int, outputs: int, bias: bool = True) -> None:
        """A linear layer of that name."""
        setattr(self, name, nn.Linear(inputs, outputs, bias))


class MinGRU(Cell):
    """minGRU: gates of the input alone."""

    def init(self) -> None:
        self.lin("z", X, H)
        self.lin("h", X, H)
        self.shapes = [(H,)]

    def g(self, x: Any) -> Any:
        return torch.where(x >= 0, x + 0.5, x.sigmoid())

    def step(self, x: Any, h: Any) -> Any:
        z = torch.sigmoid(self.z(x))
        return self._o((1 - z) * h + z * self.g(self.h(x)))

    def _o(self, h: Any) -> Any:
        return (h, (h,))


class MinLSTM(Cell):
    """minLSTM: two gates of the input alone, normalised."""

    def init(self) -> None:
        self.lin("f", X, H)
        self.lin("i", X, H)
        self.lin("h", X, H)
        self.shapes = [(H,)]

    def step(self, x: Any, h: Any) -> Any:
        f = torch.sigmoid(self.f(x))
        i = torch.sigmoid(self.i(x))
        n = f + i
        h = f / n * h + i / n * self.h(x)
        return (h, (h,))


class Mamba(Cell):
    """Mamba: a cache of inputs and a selective state."""

    def init(self) -> None:
        self.lin("inp", X, 2 * H, False)
        self.conv = nn.Parameter(torch.randn(H, 3) * 0.4)
        self.cb = nn.Parameter(torch.randn(H) * 0.1)
        self.lin("xp", H, 1 + 2 * K, False)
        self.lin("dt", 1, H)
        self.A = nn.Parameter(torch.log(torch.arange(1, K + 1).float()).repeat(H, 1))
        self.D = nn.Parameter(torch.ones(H))
        self.lin("out", H, H, False)
        self.shapes = [(H, 3), (H, K)]

    def step(self, x: Any, conv: Any, ssm: Any) -> Any:
        x, z = self.inp(x).chunk(2, -1)
        conv = torch.roll(conv, shifts=-1, dims=-1)
        conv = torch.cat([conv[:, :, :-1], x.unsqueeze(-1)], -1)
        x = functional.silu((conv * self.conv).sum(-1) + self.cb)
        dt, B, C = self.xp(x).split([1, K, K], -1)
        dt = functional.softplus(self.dt(dt))
        A = -torch.exp(self.A)
        dA = torch.exp(torch.einsum("bd,dn->bdn", dt, A))
        dB = torch.einsum("bd,bn->bdn", dt, B)
        ssm = ssm * dA + x.unsqueeze(-1) * dB
        y = torch.einsum("bdn,bn->bd", ssm, C) + self.D * x
        return (self.out(y * functional.silu(z)), (conv, ssm))


class Mamba2(Cell):
    """Mamba-2: one decay a head."""

    def init(self) -> None:
        self.lin("inp", X, 4 + 4 + K + K + 2, False)
        self.A = nn.Parameter(torch.log(torch.tensor([0.4, 0.8])))
        self.D = nn.Parameter(torch.ones(2))
        self.dtb = nn.Parameter(torch.zeros(2))
        self.lin("out", H, H, False)
        self.norm = nn.Parameter(torch.ones(4))
        self.shapes = [(2, 2, K)]

    def step(self, x: Any, S: Any) -> Any:
        z, u, B, C, dt = self.inp(x).split([4, 4, K, K, 2], -1)
        u = functional.silu(u)
        B = functional.silu(B)
        C = functional.silu(C)
        dt = functional.softplus(dt + self.dtb)
        dA = torch.exp(dt * -torch.exp(self.A))
        u = u.reshape(-1, 2, 2)
        dBx = torch.einsum("bh,bn,bhp->bhpn", dt, B, u)
        S = S * dA.reshape(-1, 2, 1, 1) + dBx
        y = torch.einsum("bhpn,bn->bhp", S, C) + self.D.reshape(2, 1) * u
        y = y.reshape(-1, 4) * functional.silu(z)
        y = y * torch.rsqrt(y.pow(2).mean(-1, keepdim=True) + 1e-05) * self.norm
        return (self.out(y), (S,))


class RWKV4(Cell):
    """RWKV-4: sums of exponentials, the largest taken off."""

    def init(self) -> None:
        for n in "kvr":
            self.lin(n, X, H, False)
            setattr(self, "m" + n, nn.Parameter(torch.rand(X)))
        self.w = nn.Parameter(torch.randn(H) * 0.3)
        self.u = nn.Parameter(torch.randn(H) * 0.3)
        self.lin("o", H, H, False)
        self.shapes = [(X,), (H,), (H,), (H,)]
        self.starts = [0, 0, 0, -5.0]

    def step(self, x: Any, last: Any, a: Any, b: Any, p: Any) -> Any:

        def mix(n: str) -> Any:
            return x * getattr(self, "m" + n) + last * (1 - getattr(self, "m" + n))

        k = self.k(mix("k"))
        v = self.v(mix("v"))
        r = torch.sigmoid(self.r(mix("r")))
        ww = self.u + k
        q = torch.maximum(p, ww)
        e1 = torch.exp(p - q)
        e2 = torch.exp(ww - q)
        y = (e1 * a + e2 * v) / (e1 * b + e2)
        ww = p - torch.exp(self.w)
        q = torch.maximum(ww, k)
        e1 = torch.exp(ww - q)
        e2 = torch.exp(k - q)
        return (self.o(r * y), (x, e1 * a + e2 * v, e1 * b + e2, q))


class RWKV5(Cell):
    """RWKV-5: a matrix as state with a decay of its own."""

    ver = 5

    def init(self) -> None:
        for n in "rkvg":
            self.lin(n, X, 4, False)
            setattr(self, "m" + n, nn.Parameter(torch.rand(X)))
        self.w = nn.Parameter(torch.randn(2, 2, 1) * 0.3)
        self.u = nn.Parameter(torch.randn(2, 2, 1) * 0.3)
        self.lin("o", 4, H, False)
        self.ln = nn.GroupNorm(2, 4)
        self.w1 = nn.Parameter(torch.randn(X, 2) * 0.3)
        self.w2 = nn.Parameter(torch.randn(2, 4) * 0.3)
        self.lin("a", X, 4)
        self.shapes = [(X,), (2, 2, 2)]

    def step(self, x: Any, last: Any, S: Any) -> Any:

        def mix(n: str) -> Any:
            return x + (last - x) * getattr(self, "m" + n)

        r = self.r(mix("r")).view(-1, 2, 1, 2)
        k = self.k(mix("k")).view(-1, 2, 2, 1)
        v = self.v(mix("v")).view(-1, 2, 1, 2)
        g = functional.silu(self.g(mix("g")))
        w = torch.exp(-torch.exp(self.w))
        if self.ver == 6:
            w = torch.exp(-torch.exp(self.w.reshape(4) + torch.tanh(mix("k") @ self.w1) @ self.w2)).view(-1, 2, 2, 1)
        at = k @ v
        y = r @ (S + self.u * at)
        S = at + w * S
        y = self.ln(y.reshape(-1, 4)) * g
        return (self.o(y), (x, S))


class RWKV6(RWKV5):
    """RWKV-6: the decay follows from the input."""

    ver = 6


class RWKV7(RWKV5):
    """RWKV-7: the state is rotated by keys."""

    def step(self, x: Any, last: Any, S: Any) -> Any:

        def mix(n: str) -> Any:
            return x + (last - x) * getattr(self, "m" + n)

        r = self.r(mix("r"))
        k = self.k(mix("k"))
        v = self.v(mix("v"))
        g = torch.sigmoid(self.g(mix("g")))
        w = torch.exp(-0.606531 * torch.sigmoid(self.w.reshape(4) + torch.tanh(mix("k") @ self.w1) @ self.w2)).view(
            -1, 2, 1, 2
        )
        a = torch.sigmoid(self.a(x))
        kk = functional.normalize(k.view(-1, 2, 2), dim=-1, p=2.0)
        k = k * (1 + (a - 1) * self.u.reshape(4))
        vk = v.view(-1, 2, 2, 1) @ k.view(-1, 2, 1, 2)
        ab = (-kk).view(-1, 2, 2, 1) @ (kk.view(-1, 2, 2) * a.view(-1, 2, 2)).view(-1, 2, 1, 2)
        S = S * w + S @ ab + vk
        y = S @ r.view(-1, 2, 2, 1)
        return (self.o(self.ln(y.reshape(-1, 4)) * g), (x, S))


class S4D(Cell):
    """S4D: complex states as pairs."""

    def init(self) -> None:
        self.lin("inp", X, H, False)
        self.la = nn.Parameter(torch.randn(H, K) * 0.2 - 1)
        self.ai = nn.Parameter(torch.rand(H, K) * 3)
        self.dt = nn.Parameter(torch.randn(H) * 0.2 - 2)
        self.B = nn.Parameter(torch.ones(H, K, 2))
        self.C = nn.Parameter(torch.randn(H, K, 2))
        self.D = nn.Parameter(torch.randn(H))
        self.shapes = [(H, K), (H, K)]

    def step(self, x: Any, re: Any, im: Any) -> Any:
        dt = torch.exp(self.dt)[:, None]
        m = torch.exp(-torch.exp(self.la) * dt)
        ar = m * torch.cos(self.ai * dt)
        ai = m * torch.sin(self.ai * dt)
        u = self.inp(x)
        nre = ar * re - ai * im + u.unsqueeze(-1) * dt
        nim = ar * im + ai * re
        y = 2 * (self.C[..., 0] * nre - self.C[..., 1] * nim).sum(-1) + self.D * u
        return (functional.gelu(y), (nre, nim))


class S4Dpair(S4D):
    """S4D with real and imaginary parts in one state."""

    def init(self) -> None:
        super().init()
        self.shapes = [(H, K, 2)]

    def step(self, x: Any, *states: Any) -> Any:
        (S,) = states
        y, (a, b) = super().step(x, S[..., 0], S[..., 1])
        return (y, (torch.stack([a, b], -1),))


class LRU(Cell):
    """LRU (S5): complex states as pairs."""

    def init(self) -> None:
        self.nu = nn.Parameter(torch.rand(H))
        self.th = nn.Parameter(torch.rand(H) * 3)
        self.ga = nn.Parameter(torch.rand(H))
        self.Br = nn.Parameter(torch.randn(H, X) * 0.4)
        self.Bi = nn.Parameter(torch.randn(H, X) * 0.4)
        self.Cr = nn.Parameter(torch.randn(H, H) * 0.4)
        self.Ci = nn.Parameter(torch.randn(H, H) * 0.4)
        self.D = nn.Parameter(torch.randn(H, X) * 0.3)
        self.shapes = [(H,), (H,)]

    def step(self, x: Any, re: Any, im: Any) -> Any:
        m = torch.exp(-torch.exp(self.nu))
        lr = m * torch.cos(self.th)
        li = m * torch.sin(self.th)
        nre = lr * re - li * im + self.ga * (x @ self.Br.T)
        nim = lr * im + li * re + self.ga * (x @ self.Bi.T)
        return (nre @ self.Cr.T - nim @ self.Ci.T + x @ self.D.T, (nre, nim))


class RetNet(Cell):
    """RetNet: retention of products of keys and values."""

    def init(self) -> None:
        for n in "qkvg":
            self.lin(n, X, 4, False)
        self.lin("o", 4, H, False)
        self.register_buffer("d", 1 - 2.0 ** (-5 - torch.arange(2.0)))
        self.gn = nn.LayerNorm(2, elementwise_affine=False)
        self.shapes = [(2, 2, 2)]

    def step(self, x: Any, S: Any) -> Any:
        q = self.q(x).view(-1, 2, 2)
        k = self.k(x).view(-1, 2, 2) * 2 ** (-0.5)
        v = self.v(x).view(-1, 2, 2)
        S = S * self.d.view(1, 2, 1, 1) + k.unsqueeze(-1) * v.unsqueeze(-2)
        y = (q.unsqueeze(-1) * S).sum(-2)
        y = self.gn(y).reshape(-1, 4) * functional.silu(self.g(x))
        return (self.o(y), (S,))


class SLSTM(Cell):
    """sLSTM of xLSTM: exponential gates, a running maximum."""

    def init(self) -> None:
        self.lin("w", X, 4 * H)
        self.lin("r", H, 4 * H, False)
        self.shapes = [(H,)] * 4

    def step(self, x: Any, h: Any, c: Any, n: Any, m: Any) -> Any:
        i, f, z, o = (self.w(x) + self.r(h)).chunk(4, -1)
        lf = functional.logsigmoid(f)
        nm = torch.maximum(lf + m, i)
        ii = torch.exp(i - nm)
        ff = torch.exp(lf + m - nm)
        c = ff * c + ii * torch.tanh(z)
        n = ff * n + ii
        h = torch.sigmoid(o) * c / n
        return (h, (h, c, n, nm))


class MLSTM(Cell):
    """mLSTM of xLSTM: a matrix as state."""

    def init(self) -> None:
        for n in "qkv":
            self.lin(n, X, 4)
        self.lin("i", X, 2)
        self.lin("f", X, 2)
        self.lin("o", X, 4)
        self.shapes = [(2, 2, 2), (2, 2, 1), (2, 1, 1)]

    def step(self, x: Any, C: Any, n: Any, m: Any) -> Any:
        q = self.q(x).view(-1, 2, 2, 1)
        k = self.k(x).view(-1, 2, 2, 1) / 2**0.5
        v = self.v(x).view(-1, 2, 2, 1)
        i = self.i(x).view(-1, 2, 1, 1)
        f = functional.logsigmoid(self.f(x)).view(-1, 2, 1, 1)
        nm = torch.maximum(f + m, i)
        ff = torch.exp(f + m - nm)
        ii = torch.exp(i - nm)
        C = ff * C + ii * (k @ v.transpose(-1, -2))
        n = ff * n + ii * k
        num = q.transpose(-1, -2) @ C
        den = torch.maximum((q.transpose(-1, -2) @ n).abs(), torch.exp(-nm)) + 1e-06
        return ((num / den).reshape(-1, 4) * torch.sigmoid(self.o(x)), (C, n, nm))


class DeltaNet(Cell):
    """Gated DeltaNet."""

    def init(self) -> None:
        for n in "qkv":
            self.lin(n, X, 4, False)
        self.lin("a", X, 2)
        self.lin("b", X, 2)
        self.A = nn.Parameter(torch.zeros(2))
        self.shapes = [(2, 2, 2)]

    def step(self, x: Any, S: Any) -> Any:
        q = functional.normalize(self.q(x).view(-1, 2, 2), dim=-1)
        k = functional.normalize(self.k(x).view(-1, 2, 2), dim=-1)
        v = functional.silu(self.v(x)).view(-1, 2, 2)
        b = torch.sigmoid(self.b(x))
        g = torch.exp(-torch.exp(self.A) * functional.softplus(self.a(x)))
        S = S * g[..., None, None]
        d = (v - torch.einsum("bhkv,bhk->bhv", S, k)) * b[..., None]
        S = S + torch.einsum("bhk,bhv->bhkv", k, d)
        return (torch.einsum("bhkv,bhk->bhv", S, q * 2 ** (-0.5)).flatten(1), (S,))
