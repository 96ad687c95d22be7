"""What other libraries need for the same cells: instructions of one step in QEMU, gcc -O3, int8 weights unless said.

Measured once, on random weights; kept as data, so that a figure of rnnc can be read beside them.
"""

from __future__ import annotations

from dataclasses import dataclass

SIZES = ((10, 20), (16, 32), (32, 64), (64, 128))
"""(input, hidden) of the columns."""


@dataclass(frozen=True)
class Peer:
    """A library's instructions of one step for each of SIZES."""

    name: str
    cell: str
    targets: tuple[str, ...]
    instructions: tuple[int, int, int, int]


_DSP = ("cortex-m4", "cortex-m7", "cortex-m33")
PEERS = (
    Peer("CMSIS-NN s8", "lstm", _DSP, (17525, 30817, 83038, 256457)),
    Peer("CMSIS-NN s16 activations", "lstm", _DSP, (20379, 36590, 100477, 315712)),
    Peer("CMSIS-NN s8", "lstm", ("cortex-m55",), (8304, 12208, 28364, 77896)),
    Peer("CMSIS-NN s16 activations", "lstm", ("cortex-m55",), (14057, 22042, 51570, 139406)),
    Peer("CMSIS-NN s8", "lstm", ("cortex-m3",), (19682, 37303, 108793, 364661)),
    Peer("CMSIS-NN s8", "lstm", ("cortex-m0",), (43285, 80441, 227261, 730648)),
    Peer("CMSIS-NN s8", "lstm", ("rv32imc",), (24618, 49827, 158437, 562264)),
    Peer("NNoM", "lstm", _DSP, (21114, 45042, 151116, 547564)),
    Peer("NNoM", "lstm", ("cortex-m3",), (19362, 40804, 134976, 484580)),
    Peer("NNoM", "lstm", ("cortex-m0",), (45720, 104132, 375041, 1419080)),
    Peer("onnx2c, float", "lstm", _DSP, (16121, 33363, 115829, 403820)),
    Peer("NNoM", "gru", _DSP, (16304, 34459, 114567, 412959)),
    Peer("NNoM", "gru", ("cortex-m3",), (14992, 31290, 102482, 365762)),
    Peer("NNoM", "gru", ("cortex-m0",), (34787, 78829, 282535, 1066525)),
    Peer("NNoM", "gru", ("rv32imc",), (17030, 37538, 131068, 487449)),
    Peer("NNoM", "gru", ("cortex-m55",), (16139, 34806, 118700, 435032)),
)


def peers(cell: str, target: str) -> list[Peer]:
    """Who does this cell on this target."""
    return [p for p in PEERS if p.cell == cell and target in p.targets]


def peers_of(cell: str, columns: int, hidden: int, target: str) -> dict[str, int]:
    """Instructions by library for a cell of exactly this size, empty where none was measured."""
    if (columns, hidden) not in SIZES:
        return {}
    return {p.name: p.instructions[SIZES.index((columns, hidden))] for p in peers(cell, target)}
