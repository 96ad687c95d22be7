"""What the user can say about a model and its compilation; the command line's options carry the same names."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

Precision = Literal["a16", "a8"]
Layout = Literal["plain", "arduino", "zephyr", "esp-idf", "cmake", "platformio"]
"""How a package lies on disk (backend.layouts)."""
Told = Callable[[int, int], None]
"""Called in long work with how much is done, and of how much."""


def not_told(_: int, __: int) -> None:
    """Tell nobody."""


@dataclass(frozen=True)
class Options:
    """Options of ``compile_model``.

    Args:
        name: prefix of everything that is generated; from the file's name where empty.
        precision: "a16", or "a8" for 8-bit recurrent operands.
        layer_precision: the same of single layers, by name ("lstm0").
        target: the part to pack weights and choose kernels for.
        search: builds with jittered row scales to try on the calibration data, 0 or 1 for none.
        window: T, the frames of a window that a network with a backward pass sees at once; 0 for streaming.
        bind: values of named dimensions and of scalar inputs (``batch=1``, ``sr=16000``).
        states: graph output that feeds each state input, or "none" where an input is no state.
        wav_hop: samples from one frame of a .wav to the next, 0 for as many as a frame has.
        time_axis: which axis of an input is time; None where none of them is.
        outputs: tensors to compile as outputs in place of the file's.
        external_data: read weights that lie in files beside the model's (torch writes them there by default).
        input_range: (lo, hi) of an input, real units.
        input_format: n of an input's Qm.n.
        input_affine: (scale, offset): the input arrives as raw counts, real = counts * scale + offset.
    """

    name: str = ""
    precision: Precision = "a16"
    layer_precision: Mapping[str, Precision] = field(default_factory=dict)
    target: str = "portable"
    search: int = 0
    window: int = 0
    bind: Mapping[str, float] = field(default_factory=dict)
    states: Mapping[str, str] = field(default_factory=dict)
    wav_hop: int = 0
    time_axis: Mapping[str, int | None] = field(default_factory=dict)
    outputs: tuple[str, ...] = ()
    external_data: bool = False
    input_range: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    input_format: Mapping[str, int] = field(default_factory=dict)
    input_affine: Mapping[str, tuple[float, float]] = field(default_factory=dict)

    def precision_of(self, layer: str) -> Precision:
        """The precision of a layer."""
        return self.layer_precision.get(layer, self.precision)

    @property
    def profile(self) -> str:
        """ "a16", or "a16, a8: lstm0, dense0" where layers differ from the others."""
        others = [name for name in self.layer_precision if self.precision_of(name) != self.precision]
        other = "a8" if self.precision == "a16" else "a16"
        return f"{self.precision}, {other}: {', '.join(others)}" if others else self.precision
