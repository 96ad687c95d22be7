"""Lengths that an exporter left in a file whose time axis is open: torch's does in the Reshape behind a recurrent layer."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import product
from typing import TYPE_CHECKING

from rnnc.errors import RnncError, UnreadableModel
from rnnc.frontend.read.binding import bind
from rnnc.frontend.read.inference import inferred
from rnnc.frontend.read.limits import constants
from rnnc.frontend.read.simplify import simplify
from rnnc.options import Options

if TYPE_CHECKING:
    from onnx import ModelProto

MOST_TRIALS = 8
"""Lengths that are tried."""
SHAPE_RANK = 8
"""A constant of more whole numbers is no shape."""


def check_shapes(model: ModelProto, simplified: ModelProto, options: Options, file: str) -> None:
    """Raise UnreadableModel where the shapes of a simplified model, which does not run, do not fit together; where it runs if
    an open axis has a length that the file holds, the hint is to bind it."""
    wrong: UnreadableModel | None = None
    try:
        inferred(simplified, file, strict=True)
    except UnreadableModel as error:
        wrong = error
    hint = held_length(model, options, file, _lengths(simplified))
    if hint:
        wrong = wrong or UnreadableModel("it does not run with any length of its open axes", where=file)
        wrong.hint = hint
    if wrong:
        raise wrong


def held_length(model: ModelProto, options: Options, file: str, others: Sequence[int] = ()) -> str:
    """What to say of a model that runs only if an open axis has a length that the file holds; "" of others.

    Args:
        others: lengths to try after those of the model.
    """
    lengths = list(dict.fromkeys([*_copies(model), *_lengths(model), *others]))[:MOST_TRIALS]
    for axis, length in product(dict.fromkeys(_open_axes(model, options)), lengths):
        if _fits(model, replace(options, bind={**options.bind, axis: length}), file):
            what = f"The file holds a length of {axis!r} that the exporter should have left open"
            return f"{what}: --bind {axis}={length}."
    return ""


def _open_axes(model: ModelProto, options: Options) -> Iterator[str]:
    """The names of open axes of inputs that nothing binds, leading ones last: they are batches."""
    shapes = [value.type.tensor_type.shape.dim for value in model.graph.input]
    for dim in [*(d for shape in shapes for d in shape[1:]), *(d for shape in shapes for d in shape[:1])]:
        if dim.dim_param and dim.dim_param not in options.bind:
            yield dim.dim_param


def _lengths(model: ModelProto) -> list[int]:
    """Numbers in the shapes that nodes bring tensors to, the most frequent first."""
    shapes = {node.input[1] for node in model.graph.node if node.op_type in ("Reshape", "Expand")}
    found = [array for name, array in constants(model.graph).items() if name in shapes]
    numbers = [int(n) for array in found if array.size <= SHAPE_RANK for n in array.ravel() if n > 1]
    return sorted(set(numbers), key=lambda n: (-numbers.count(n), -n))


def _copies(model: ModelProto) -> list[int]:
    """How many steps a loop took that an exporter unrolled: tensors of which entries 0, 1, 2 ... are taken one by one."""
    taken: dict[str, set[int]] = {}
    stored = constants(model.graph)
    for node in model.graph.node:
        if node.op_type == "Gather" and node.input[1] in stored and stored[node.input[1]].size == 1:
            taken.setdefault(node.input[0], set()).add(int(stored[node.input[1]].ravel()[0]))
    return [len(places) for places in taken.values() if len(places) > 1 and places == set(range(len(places)))]


def _fits(model: ModelProto, options: Options, file: str) -> bool:
    try:
        return not simplify(bind(model, options, file).model, file).broken
    except RnncError:
        return False
