"""How long a block is: an open axis inside a frame whose length no weight tells, only what is left of it in the end.

A step that takes a block of samples through strided convolutions must end at one position. Several lengths do; the longest
of them that leaves no sample out is what the network was made for.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from math import prod
from typing import TYPE_CHECKING

from rnnc.frontend.read.inference import dims
from rnnc.frontend.read.limits import copied

if TYPE_CHECKING:
    from onnx import ModelProto, NodeProto

LONGEST = 4096
MOST_NODES = 400_000
"""Nodes whose shapes are inferred in all, over all lengths that are tried."""
FARTHEST = 3
"""Times the longest length found, as far as the next is looked for."""
SMALL = 64
"""Elements of a constant that may tell a shape."""
WINDOWS = ("Conv", "MaxPool", "AveragePool")


def has_empty(model: ModelProto) -> bool:
    """Whether a tensor of a model whose inputs have lengths has none: what it holds is shorter than a layer's window."""
    from onnx import shape_inference

    try:
        inferred = shape_inference.infer_shapes(model)
    except Exception:
        return False
    shapes = (v.type.tensor_type.shape.dim for v in inferred.graph.value_info)
    return any(d.HasField("dim_value") and d.dim_value < 1 for shape in shapes for d in shape)


def longest_block(model: ModelProto, name: str, axis: int) -> int:
    """The longest length of an input's axis that the model takes and uses up; 0 where none fits, or every longer one does.

    Args:
        model: simplified for a length with which it does not work; all other axes of its inputs have lengths.
    """
    bare = _bare(model)
    dim = next(v for v in bare.graph.input if v.name == name).type.tensor_type.shape.dim[axis]
    longest = min(LONGEST, MOST_NODES // max(len(bare.graph.node), 1))
    found = 0
    for length in range(1, longest + 1):
        dim.dim_value = length
        shapes = _shapes(bare)
        if shapes is not None and all(_uses_up(node, shapes) for node in bare.graph.node):
            found = length
        if found and length > FARTHEST * found:
            break
    return 0 if found + 1 >= longest else found


def _bare(model: ModelProto) -> ModelProto:
    """A copy without inferred shapes, whose large constants are inputs: inference needs their shapes alone."""
    from onnx import helper

    bare = copied(model)
    graph = bare.graph
    large = [i for i in graph.initializer if prod(i.dims) > SMALL]
    graph.input.extend(helper.make_tensor_value_info(i.name, i.data_type, list(i.dims)) for i in large)
    for tensor in large:
        graph.initializer.remove(tensor)
    del graph.value_info[:]
    for output in graph.output:
        output.type.tensor_type.ClearField("shape")
    return bare


def _shapes(model: ModelProto) -> Mapping[str, list[int]] | None:
    """The shapes of all tensors, None where they do not fit together or one holds nothing."""
    from onnx import shape_inference

    try:
        inferred = shape_inference.infer_shapes(model, strict_mode=True)
    except Exception:
        return None
    values = [*inferred.graph.input, *inferred.graph.value_info]
    if any(d.HasField("dim_value") and d.dim_value < 1 for v in values for d in v.type.tensor_type.shape.dim):
        return None
    return {v.name: dims(v) for v in values} | {i.name: list(i.dims) for i in model.graph.initializer}


def _uses_up(node: NodeProto, shapes: Mapping[str, list[int]]) -> bool:
    """Whether the last window of a convolution or pool ends where its input does, or in the padding after it."""
    return node.op_type not in WINDOWS or all(left <= after for left, after in _left_over(node, shapes))


def _left_over(node: NodeProto, shapes: Mapping[str, list[int]]) -> Iterator[tuple[int, int]]:
    """For each axis that windows move along, the elements after the last window, and the padding after the input."""
    attributes = {a.name: list(a.ints) for a in node.attribute if a.ints}
    lengths = shapes.get(node.input[0], [])[2:]
    kernel = attributes.get("kernel_shape") or shapes.get(node.input[1], [])[2:]
    rank = len(lengths)
    pads = attributes.get("pads") or [0] * (2 * rank)
    strides, dilations = (attributes.get(k) or [1] * rank for k in ("strides", "dilations"))
    for i, (n, k, stride, dilation) in enumerate(zip(lengths, kernel, strides, dilations, strict=False)):
        yield (n + pads[i] + pads[i + rank] - dilation * (k - 1) - 1) % stride, pads[i + rank]
