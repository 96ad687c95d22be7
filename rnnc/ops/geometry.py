"""Where a convolution or pool looks: over time into a history, over up to two axes of a frame.

A frame is ``[channels, height, width]`` (lengths of 1 where an axis is missing). The history holds the newest frames,
oldest first; the newest lies at its end.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from rnnc.clock import Timing
from rnnc.fixed import Format, Ints
from rnnc.net import Accept, Array
from rnnc.qnet import Field

if TYPE_CHECKING:
    from rnnc.tracing import Node, Traced, Tracer

FRAME_AXES = 2
"""Spatial axes beside time that the kernels know."""
OUTSIDE = -1


@dataclass(frozen=True)
class Axis:
    """One axis of a kernel. ``before`` and ``after`` are the padding; ``before`` is negative where a stream starts later.

    Of ``after``, the last ``overhang`` elements are no padding: ceil_mode lets windows reach beyond it.
    """

    kernel: int = 1
    stride: int = 1
    dilation: int = 1
    before: int = 0
    after: int = 0
    overhang: int = 0

    @property
    def span(self) -> int:
        """From the first tap to the last."""
        return (self.kernel - 1) * self.dilation

    def length(self, n: int) -> int:
        """How many outputs an axis of n elements gives."""
        return (n + self.before + self.after - self.span - 1) // self.stride + 1

    def taps(self, n: int) -> Ints:
        """The index under each tap at each output, ``[outputs, taps]``; beyond 0..n-1 lies padding."""
        at = np.arange(self.length(n)) * self.stride - self.before
        return np.asarray(at[:, None] + np.arange(self.kernel) * self.dilation)


@dataclass(frozen=True)
class Geometry:
    """A kernel over time, height and width of frames ``[channels, height, width]``."""

    channels: int = 1
    height: int = 1
    width: int = 1
    time: Axis = field(default=Axis())
    rows: Axis = field(default=Axis())
    columns: Axis = field(default=Axis())

    @property
    def size(self) -> int:
        """Elements of a frame."""
        return self.channels * self.height * self.width

    @property
    def positions(self) -> int:
        """Outputs of a frame, for each channel that comes out."""
        return self.rows.length(self.height) * self.columns.length(self.width)

    @property
    def lag(self) -> int:
        """How many frames older than its kernel reaches an output looks: the padding before is longer than the kernel."""
        return max(0, self.time.before - self.time.span)

    @property
    def frames(self) -> int:
        """Length of the history, the newest frame included."""
        return self.time.span + self.lag + 1

    @property
    def timing(self) -> Timing:
        """When there is an output: padding before makes it earlier, padding after adds a tail."""
        first = max(0, self.time.span - self.time.before)
        return Timing(first, self.time.stride, self.time.after + self.lag, min(first, self.time.after))

    @property
    def remembers(self) -> bool:
        """Whether a history is kept; else a frame is looked at alone."""
        return self.frames > 1 or self.timing.tail > 0

    @cached_property
    def index(self) -> Ints:
        """The element of the flattened history ``[frames, channels, height, width]`` under each tap at each position:
        ``[positions, taps of time, channels, taps of height, taps of width]``; OUTSIDE where it is padding of a frame.
        """
        h, w = self.rows.taps(self.height), self.columns.taps(self.width)
        inside = ((h >= 0) & (h < self.height))[:, None, :, None] & ((w >= 0) & (w < self.width))[None, :, None, :]
        frame = h[:, None, :, None] * self.width + w[None, :, None, :]
        frame = frame.reshape(self.positions, 1, 1, self.rows.kernel, self.columns.kernel)
        t = (np.arange(self.time.kernel) * self.time.dilation * self.size).reshape(1, -1, 1, 1, 1)
        c = (np.arange(self.channels) * self.height * self.width).reshape(1, 1, -1, 1, 1)
        return np.where(inside.reshape(frame.shape), frame + t + c, OUTSIDE)

    def patches(self, history: Array, outside: float) -> Array:
        """What lies under the taps: ``[..., frames * size]`` to ``[..., *index.shape]``, ``outside`` for padding."""
        return np.where(self.index == OUTSIDE, outside, history[..., self.index])

    @property
    def pooled(self) -> Accept:
        """What a pool accepts: elements that it compares or adds up must have one scale."""
        if self.rows.kernel == self.columns.kernel == 1 and self.positions == self.height * self.width:
            return "any"
        return "channel" if self.channels > 1 else "common"

    def pooled_format(self, form: Format) -> Format:
        """The format of what a pool gives, with the input's scales."""
        if self.pooled == "any":
            return form
        channel = form.scale_for(self.size).reshape(self.channels, -1)[:, 0]
        return replace(form, scale=np.repeat(channel, self.positions))

    def fields(self) -> Field:
        """The initialiser of the C struct rnnc_window."""
        t, h, w = self.time, self.rows, self.columns
        return (
            "window",
            (
                ("channels", self.channels),
                ("height", self.height),
                ("width", self.width),
                ("taps", t.kernel),
                ("kernel_height", h.kernel),
                ("kernel_width", w.kernel),
                ("dilation", t.dilation),
                ("dilation_height", h.dilation),
                ("dilation_width", w.dilation),
                ("stride_height", h.stride),
                ("stride_width", w.stride),
                ("top", h.before),
                ("left", w.before),
                ("out_height", h.length(self.height)),
                ("out_width", w.length(self.width)),
            ),
        )

    def describe(self) -> str:
        """The kernel, with what is not plain about it."""
        t = self.time
        parts = [f"{t.kernel} frames"] if t.kernel > 1 else []
        parts += [f"dilation {t.dilation}"] if t.dilation > 1 else []
        parts += [f"stride {t.stride}"] if t.stride > 1 else []
        if self.height > 1 or self.width > 1:
            parts.append(f"{self.rows.kernel}x{self.columns.kernel} of {self.height}x{self.width}")
        return ", ".join(parts) or "1 frame"


# --------------------------------------------------------------------------- from ONNX


@dataclass(frozen=True, eq=False)
class Spatial:
    """A Conv or pool node's axes: the geometry, and the shape in the file of what comes out."""

    geometry: Geometry
    lengths: tuple[int, ...]


def read_spatial(node: Node, trace: Tracer, x: Traced, kernel: tuple[int, ...]) -> Spatial:
    """Read kernel_shape, strides, dilations, pads, auto_pad and ceil_mode of a node over x ``[batch, channels, spatial...]``.

    Time is a spatial axis or the batch axis; a kernel over the channels' axis would need the whole sequence.
    """
    if len(x.shape) < 3 or len(kernel) != len(x.shape) - 2:
        trace.refuse(node, f"its kernel {list(kernel)} does not fit an input of shape {list(x.shape)}")
    if x.time == 1:
        trace.require_time(node, x, 2)
    if x.time != 0 and x.shape[0] != 1:
        trace.refuse(
            node,
            f"the batch is {x.shape[0]}",
            "Export it with a batch of 1 (--bind sets an open axis), or say which axis is time (--time-axis).",
        )
    axes = _axes(node, trace, x, kernel)
    lengths = tuple(a.length(n) for a, n in zip(axes, x.shape[2:], strict=True))
    if min(lengths) < 1:
        trace.refuse(node, f"a kernel of {list(kernel)} is larger than its input {list(x.shape[2:])}")
    spatial = None if x.time is None or x.time < 2 else x.time - 2
    frame = [(n, a) for i, (n, a) in enumerate(zip(x.shape[2:], axes, strict=True)) if i != spatial]
    shown = [(n, a) for n, a in frame if n > 1 or a != Axis()]
    if len(shown) > FRAME_AXES:
        trace.refuse(node, f"it slides over {len(shown)} axes beside time", f"At most {FRAME_AXES} are supported.")
    (height, rows), (width, columns) = [(1, Axis())] * (FRAME_AXES - len(shown)) + shown
    time = Axis() if spatial is None else axes[spatial]
    return Spatial(Geometry(x.shape[1], height, width, time, rows, columns), lengths)


def _axes(node: Node, trace: Tracer, x: Traced, kernel: tuple[int, ...]) -> list[Axis]:
    n = len(kernel)
    strides = [int(s) for s in node.attributes.get("strides", [1] * n)]
    dilations = [int(d) for d in node.attributes.get("dilations", [1] * n)]
    pads = [int(p) for p in node.attributes.get("pads", [0] * 2 * n)]
    auto = node.attributes.get("auto_pad", "NOTSET")
    axes = []
    for i in range(n):
        axis = Axis(kernel[i], strides[i], dilations[i], pads[i], pads[i + n])
        if auto in ("SAME_UPPER", "SAME_LOWER"):
            axis = _same(node, trace, axis, x.shape[i + 2], upper=auto == "SAME_UPPER", is_time=x.time == i + 2)
        elif auto == "VALID":
            axis = Axis(kernel[i], strides[i], dilations[i])
        if node.attributes.get("ceil_mode", 0):
            axis = _ceil(node, trace, axis, x.shape[i + 2], is_time=x.time == i + 2)
        axes.append(axis)
    return axes


def _same(node: Node, trace: Tracer, axis: Axis, length: int, *, upper: bool, is_time: bool) -> Axis:
    """auto_pad: as many outputs as there are strides in the input."""
    if is_time and axis.stride > 1 and trace.open_time:
        trace.refuse(
            node,
            "auto_pad=SAME with a stride pads by the length of the sequence, which is open",
            "Export with explicit pads, or with a fixed length.",
        )
    outputs = -(-length // axis.stride)
    total = max(0, (outputs - 1) * axis.stride + axis.span + 1 - length)
    small, large = total // 2, total - total // 2
    before, after = (small, large) if upper else (large, small)
    return Axis(axis.kernel, axis.stride, axis.dilation, before, after)


def _ceil(node: Node, trace: Tracer, axis: Axis, length: int, *, is_time: bool) -> Axis:
    """ceil_mode: windows that reach past the end count, unless they start there."""
    over = (length + axis.before + axis.after - axis.span - 1) % axis.stride
    if over == 0:
        return axis
    start = axis.length(length) * axis.stride
    if start >= length + axis.before:
        return axis
    if is_time and trace.open_time:
        trace.refuse(
            node,
            "ceil_mode with a stride adds an output by the length of the sequence, which is open",
            "Export with ceil_mode=0, or with a fixed length.",
        )
    overhang = axis.stride - over
    return replace(axis, after=axis.after + overhang, overhang=overhang)
