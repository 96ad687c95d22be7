"""Attention pooling: the sum of values weighted by a softmax along the axis that is summed up, as one node.

``SoftmaxPool`` has inputs s and v and the attribute axis, which stays with length 1, and is no operator of ONNX. Along time it
is a mean so far; along features its handler takes it apart again.
"""

from __future__ import annotations

import numpy as np

from rnnc.frontend.rewrite.editor import Editor
from rnnc.frontend.rewrite.patterns import Term, op, put, tensor
from rnnc.tracing import Node
from rnnc.views import view

VIEWS = ("Transpose", "Unsqueeze", "Squeeze")
"""What may lie between the softmax and the product."""


def softmax_pool(editor: Editor, node: Node) -> bool:
    """ReduceSum(Softmax(s) v) along the softmax's axis, and others of length 1."""
    product, shape = editor.producer(node.inputs[0]), editor.shape(node.inputs[0])
    axes = editor.constant(node.inputs[1]) if len(node.inputs) > 1 else None
    if product is None or product.op_type != "Mul" or not shape or axes is None:
        return False
    summed = [int(a) % len(shape) for a in axes.ravel()]
    for share, values in (product.inputs, product.inputs[::-1]):
        scores = _scores(editor, share)
        same_rank = all(len(editor.shape(name) or ()) == len(shape) for name in (share, values))
        if scores is None or not same_rank or editor.constant(values) is not None:
            continue
        term, axis = scores
        if shape[axis] > 1 and axis in summed and all(shape[a] == 1 for a in summed if a != axis):
            pooled = op("SoftmaxPool", term, tensor(values), axis=axis)
            kept = bool(node.attributes.get("keepdims", 1))
            return put(editor, node, pooled if kept else op("Squeeze", pooled, sorted(summed)))
    return False


def mean_of_sum(editor: Editor, node: Node) -> bool:
    """ReduceSum over as many elements as its result is divided by, or multiplied by one share of.

    A length of the sequence is among the constants where the file computes with it: a mask of all steps, say, summed up.
    """
    total, divisor = (node.inputs, node.inputs[::-1])[
        node.op_type == "Mul" and editor.constant(node.inputs[0]) is not None
    ]
    summed, number = editor.producer(total), editor.constant(divisor)
    if summed is None or summed.op_type != "ReduceSum" or number is None or editor.only_reader(total) is None:
        return False
    shape, axes = editor.shape(summed.inputs[0]), editor.constant(summed.inputs[1]) if len(summed.inputs) > 1 else None
    if not shape or axes is None or not axes.size or editor.shape(total) != editor.shape(node.outputs[0]):
        return False
    count = int(np.prod([shape[int(a)] for a in axes.ravel()], dtype=np.int64))
    share = number if node.op_type == "Mul" else 1 / np.where(number, number, np.inf)
    if count < 2 or not np.allclose(share * count, 1, rtol=1e-6, atol=0):
        return False
    kept = int(summed.attributes.get("keepdims", 1))
    return put(editor, node, op("ReduceMean", tensor(summed.inputs[0]), axes, keepdims=kept))


def _scores(editor: Editor, name: str) -> tuple[Term, int] | None:
    """The logits of a softmax that nothing else reads, in the shape of the tensor, and its axis there."""
    views: list[Node] = []
    while (node := editor.producer(name)) is not None and node.op_type in VIEWS and editor.only_reader(name):
        views.append(node)
        name = node.inputs[0]
    shape = editor.shape(name)
    if node is None or node.op_type != "Softmax" or editor.only_reader(name) is None or not shape:
        return None
    term, axis = tensor(node.inputs[0]), int(node.attributes.get("axis", -1)) % len(shape)
    places = np.broadcast_to(np.indices(shape, sparse=True)[axis], shape)
    for moved in reversed(views):
        turned = view(moved, [places], editor.constants)
        if turned is None:
            return None
        places = turned[0]
        term = op(moved.op_type, term, *(tensor(n) for n in moved.inputs[1:]), **moved.attributes)
    along = [i for i in range(places.ndim) if np.any(np.diff(places, axis=i))]
    return (term, along[0]) if along else None
