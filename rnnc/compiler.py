"""The compiler: one list of stages. Each takes what the one before made, checks what it makes, and can be printed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rnnc.backend.emit import emit
from rnnc.backend.lower import Program, lower
from rnnc.frontend.load import load
from rnnc.frontend.streaming import to_stream
from rnnc.net import Net, QNet
from rnnc.options import Options
from rnnc.quantization.calibrate import Ranges, Sequences, calibrate
from rnnc.quantization.certify import Certificate, certify
from rnnc.quantization.quantize import quantize
from rnnc.quantization.search import search
from rnnc.tracing import Graph

Stage = Callable[[str, object], None]
"""Called after each stage with its name and what it made, for printing and progress."""


def no_watch(_: str, __: object) -> None:
    """Look at nothing."""


@dataclass(frozen=True, eq=False)
class Compilation:
    """What each stage made."""

    graph: Graph
    net: Net
    ranges: Ranges
    qnet: QNet
    certificate: Certificate
    program: Program
    options: Options
    files: dict[str, str] = field(default_factory=dict)


def compile_stages(
    source: str | Path | bytes, calibration: Sequences | None, options: Options, watch: Stage = no_watch
) -> Compilation:
    """From a model to the text of its C; nothing is run and nothing is written.

    Args:
        source: path of an ONNX file, or its content.
        calibration: sequences of each input; None for data-free ranges.
        watch: told of each stage.

    Raises ModelError, DataError, UsageError.
    """

    def made(stage: str, result: Any) -> Any:
        watch(stage, result)
        return result

    graph: Graph = made("load", load(source, options))
    net: Net = made("stream", to_stream(graph, options))
    ranges: Ranges = made("calibrate", calibrate(net, calibration, options))
    qnet: QNet = made("quantize", search(net, ranges, calibration, options) if options.search else quantize(net, ranges, options))
    certificate: Certificate = made("certify", certify(qnet))
    program: Program = made("lower", lower(qnet, options.target))
    files: dict[str, str] = made("emit", emit(program))
    return Compilation(graph, net, ranges, qnet, certificate, program, options, files)
