"""Embedding: a row of a constant table for each row number of the input, in int8 or, as other weights, int16."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from rnnc.fixed import Floats, Format, Ints
from rnnc.interval import Interval
from rnnc.net import Array, Op, Probe, Quantizer, States, Value, no_probe
from rnnc.qnet import Arg, Constant, KernelCall, QOp
from rnnc.rows import WEIGHT_MAX, WIDE_WEIGHT_MAX
from rnnc.tracing import Node, Traced, Tracer, handles


@dataclass(frozen=True, eq=False)
class Embedding(Op):
    """``y = table[id]`` for each id.

    Args:
        table: ``[rows, columns]``.
        shape: of the output: ``[*ids, columns]``, axes of length 1 left out.

    Inputs: ids, row numbers; one past the end names the last row.
    """

    table: Floats
    shape: tuple[int, ...]
    kind: ClassVar[str] = "embedding"

    @property
    def columns(self) -> int:
        """Elements of a row."""
        return int(self.table.shape[1])

    def infer(self, inputs: Sequence[Value]) -> list[Value]:
        assert inputs[0].dtype == "index", self.name
        return [Value("", self.shape)]

    def step(self, inputs: Sequence[Array], state: States, tick: int, probe: Probe = no_probe) -> list[Array]:
        return [self.table[np.clip(inputs[0].astype(np.int64), 0, len(self.table) - 1)]]

    def range(self, inputs: Sequence[Interval]) -> list[Interval]:
        ids = int(np.prod(self.shape, dtype=np.int64)) // self.columns
        return [Interval(np.tile(self.table.min(0), ids), np.tile(self.table.max(0), ids))]

    def quantize(self, q: Quantizer) -> QEmbedding:
        wide = not q.wants8() and q.wide_table(self.table.size)
        most = WIDE_WEIGHT_MAX if wide else WEIGHT_MAX
        scale = np.maximum(np.abs(self.table).max(0), 1e-9) / most
        rows = np.clip(np.round(self.table / scale), -most, most).astype(np.int64)
        ids = int(np.prod(self.shape, dtype=np.int64)) // self.columns
        lsb = np.tile(scale, ids)
        y = Format(8, lsb, 0, -127, 127) if q.wants8() else Format(16, lsb / (1 if wide else 256))
        return QEmbedding(self, self.inputs, (y,), rows, scale, q.input(0), wide)

    def describe(self) -> str:
        return f"table of {len(self.table)} rows of {self.columns}"


@dataclass(frozen=True, eq=False)
class QEmbedding(QOp):
    """Rows with a scale for each column; int8 as int16 is shifted left by 8.

    Args:
        wide: whether ``rows [rows, columns]`` are int16.
    """

    op: Embedding
    rows: Ints
    scale: Floats
    ids: Format
    wide: bool

    def step(self, inputs: Sequence[Array], state: States, tick: int, probe: Probe = no_probe) -> list[Array]:
        y = self.rows[np.clip(inputs[0], 0, len(self.rows) - 1)]
        return [y if self.wide or self.formats[0].bits == 8 else y << 8]

    def calls(self) -> list[KernelCall]:
        fields = (
            ("rows", Constant(f"{self.name}_w", self._ctype, self.rows.ravel(), "[rows][columns]")),
            ("last", len(self.rows) - 1),
            ("columns", self.op.columns),
            ("ids", int(np.prod(self.op.shape, dtype=np.int64)) // self.op.columns),
            ("id_bits", self.ids.bits),
            ("row_bits", 16 if self.wide else 8),
            ("y_bits", self.formats[0].bits),
        )
        args = (Arg("input", "0"), Arg("output", "0"))
        return [KernelCall("rnnc_embedding", "embedding.h", "rnnc_embedding_params", fields, args)]

    @property
    def _ctype(self) -> str:
        return "int16_t" if self.wide else "int8_t"

    def dequantized(self) -> Op:
        return replace(self.op, table=self.rows * self.scale)


@handles("Embedding")
def from_node(node: Node, trace: Tracer) -> None:
    """The canonical form of Gather along axis 0 of a constant: inputs table ``[rows, *columns]`` and row numbers."""
    table, ids = trace.constant(node, 0), trace.input(node, 1)
    assert table is not None and ids is not None
    value = trace.value(ids.value)
    if value.dtype != "index":
        trace.refuse(
            node, "looks up rows by computed numbers", "Row numbers must be an input, or the result of ArgMax."
        )
    if value.rows > len(table):
        trace.refuse(node, f"its table has {len(table)} rows, the numbers may be up to {value.rows - 1}")
    shape = (*ids.shape, *table.shape[1:])
    traced = Traced(shape, ids.kind, ids.time)
    rows = np.asarray(table, np.float64).reshape(len(table), -1)
    op = trace.add(node, Embedding, [ids.value], table=rows, shape=traced.frame)
    trace.result(node, 0, replace(traced, value=op.outputs[0]))
