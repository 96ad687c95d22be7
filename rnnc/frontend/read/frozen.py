"""Lengths that an exporter left in a file whose time axis is open: torch's does in the Reshape behind a recurrent layer."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

from rnnc.errors import RnncError, UnreadableModel
from rnnc.frontend.read.binding import bind
from rnnc.frontend.read.inference import inferred
from rnnc.frontend.read.simplify import simplify
from rnnc.options import Options

if TYPE_CHECKING:
    from onnx import ModelProto

MOST_TRIALS = 8
"""Lengths that are tried."""
SHAPE_RANK = 8
"""A constant of more whole numbers is no shape."""


def check_shapes(model: ModelProto, simplified: ModelProto, options: Options, file: str) -> None:
    """Raise UnreadableModel where the shapes of a simplified model do not fit together; where they do if an open axis has a
    length that the file holds, the hint is to bind it."""
    try:
        inferred(simplified, file, strict=True)
    except UnreadableModel as error:
        axis = next(_open_axes(model, options), "")
        for length in _lengths(model) if axis else ():
            if _fits(model, replace(options, bind={**options.bind, axis: length}), file):
                what = f"The file holds a length of {axis!r} that the exporter should have left open"
                error.hint = f"{what}: --bind {axis}={length}."
                break
        raise


def _open_axes(model: ModelProto, options: Options) -> Iterator[str]:
    """The names of open axes of inputs that nothing binds."""
    for value in model.graph.input:
        for dim in value.type.tensor_type.shape.dim:
            if dim.dim_param and dim.dim_param not in options.bind:
                yield dim.dim_param


def _lengths(model: ModelProto) -> list[int]:
    """Numbers in the shapes that nodes bring tensors to, the most frequent first."""
    from onnx import numpy_helper

    shapes = {node.input[1] for node in model.graph.node if node.op_type in ("Reshape", "Expand")}
    found = [numpy_helper.to_array(i) for i in model.graph.initializer if i.name in shapes]
    numbers = [int(n) for array in found if array.size <= SHAPE_RANK for n in array.ravel() if n > 1]
    return sorted(set(numbers), key=lambda n: (-numbers.count(n), -n))[:MOST_TRIALS]


def _fits(model: ModelProto, options: Options, file: str) -> bool:
    try:
        return not simplify(bind(model, options, file).model, file).broken
    except RnncError:
        return False
