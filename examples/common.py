"""What the examples share: what a task is, its networks compiled, integers as C.

Each example has a module ``task`` with what is particular to it: see ``Task``. Run the tools from the folder above this one:

    python -m examples.figures      every example's metric, flash, RAM and instructions; writes them into the READMEs
    python -m examples.firmware temperature       the example's main.c on an emulated Cortex-M4
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib import import_module
from pathlib import Path
from typing import Any, Literal, Protocol, cast

import numpy as np
from numpy.typing import NDArray

from rnnc import Options, Package, build
from rnnc.fixed import Format, Ints

Array = NDArray[Any]
Simulate = Callable[[Any], dict[str, Array]]
"""Streams data through a network, by one of its engines: outputs by name in real units."""

HERE = Path(__file__).resolve().parent
EXAMPLES = ("gesture", "temperature", "poet", "policy", "wake_word", "heartbeat", "sentiment")
NUMBERS_A_LINE = 16


@dataclass(frozen=True)
class Network:
    """A model file of an example, and how to compile it."""

    model: str
    options: Options = field(default_factory=Options)


@dataclass(frozen=True)
class Metric:
    """What a task is judged by.

    Args:
        name: for people, with the unit.
        kind: how far a16 may be from onnxruntime: "share" by 0.5 points of a share 0..1, "error" by 1 %, "perplexity" by 0.2 %.
        digits: after the point, for people; of a share, in percent.
    """

    name: str
    kind: Literal["share", "error", "perplexity"]
    digits: int = 1

    def show(self, value: float) -> str:
        """The value as text."""
        return f"{value:.{self.digits}%}" if self.kind == "share" else f"{value:.{self.digits}f}"

    def close(self, value: float, reference: float) -> bool:
        """Whether a16 is as near to onnxruntime as promised."""
        if self.kind == "share":
            return abs(value - reference) <= 0.005
        return value <= reference * (1.01 if self.kind == "error" else 1.002)


class Task(Protocol):
    """The module ``task`` of an example."""

    NETWORKS: tuple[Network, ...]
    METRIC: Metric

    def score(self, simulate: Simulate) -> float:
        """The metric over the held-out data."""
        ...

    def heldout(self, package: Package) -> str:
        """heldout.h: what the firmware streams, as integers of the package's formats."""
        ...

    def expected(self, package: Package) -> str:
        """What the firmware must print, worked out in Python from the oracle's integers."""
        ...


def find_task(name: str) -> Task:
    """The module of an example."""
    return cast(Task, import_module(f"examples.{name}.task"))


def compile_network(name: str, network: Network, **changes: Any) -> Package:
    """Compile a network of an example with its calibration data, unverified; ``changes`` replace options."""
    folder = HERE / name
    return build(folder / network.model, folder / "calib.npz", replace(network.options, **changes), verify=False)


def load_test_data(name: str) -> dict[str, Array]:
    """The arrays of an example's test.npz."""
    with np.load(HERE / name / "test.npz") as archive:
        return dict(archive)


def find_format(package: Package, port: str) -> Format:
    """What the integers of an input or output mean."""
    program = package.program
    return next(p.format for p in (*program.inputs, *program.outputs) if p.name == port)


def integers(package: Package, port: str, real: Array) -> Ints:
    """Real units of an input or output as the integers that the C takes or gives."""
    return find_format(package, port).quantize(real)


def events(above: NDArray[np.bool_], agree: int) -> Ints:
    """The steps at which ``above`` has held ``agree`` times in a row; it must fail once before the next event."""
    count, found = 0, []
    for step, yes in enumerate(above):
        count = count + 1 if yes else 0
        if count == agree:
            found.append(step)
    return np.array(found, np.int64)


def c_array(ctype: str, name: str, values: Array, comment: str) -> str:
    """A constant array of C, its inner dimensions in braces of their own."""
    sizes = "".join(f"[{n}]" for n in np.shape(values))
    return f"/* {comment} */\nstatic const {ctype} {name}{sizes} = {_braced(np.asarray(values))};\n"


def _braced(values: Array) -> str:
    if values.ndim > 1:
        return "{\n" + ",\n".join(_braced(v) for v in values) + "}"
    numbers = [str(int(v)) for v in values]
    lines = [", ".join(numbers[i : i + NUMBERS_A_LINE]) for i in range(0, len(numbers), NUMBERS_A_LINE)]
    return "{" + ",\n".join(lines) + "}"


def c_header(example: str, defines: Mapping[str, int | str], arrays: Sequence[str]) -> str:
    """heldout.h."""
    lines = [
        f"/* Held-out data of the example {example}, written by examples/firmware.py. */",
        "#include <stdint.h>",
        "",
    ]
    lines += [f"#define {key} {value}" for key, value in defines.items()]
    return "\n".join([*lines, "", *arrays])
