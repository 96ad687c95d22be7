"""Which element of which tensor each element of a tensor is, nodes followed back that only move, select or join elements."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator

import numpy as np

from rnnc.frontend.rewrite.editor import Editor
from rnnc.tracing import Node
from rnnc.views import FIRST_ONLY, VIEWS, Constants, Elements, moved_inputs, view


class Origins:
    """Numbers for elements: every element of a source, a tensor that is not a view of others, has its own.

    Args:
        stops: tensors that are taken as sources whatever they are made of.
    """

    def __init__(self, editor: Editor, stops: Collection[str] = ()) -> None:
        self.editor, self.stops = editor, stops
        self.count = 0
        self.first: dict[str, int] = {}
        """The number of the first element of each source."""
        self.known: dict[str, Elements | None] = {}

    def of(self, name: str) -> Elements | None:
        """The numbers of the elements of a tensor, in its shape; None where that is not known."""
        if name not in self.known:
            self.known[name] = self._follow(name)
        return self.known[name]

    def own(self, name: str) -> Elements | None:
        """The numbers of a tensor's elements as a source."""
        shape = self.editor.shape(name)
        return None if shape is None else self.fresh(name, shape)

    def fresh(self, name: str, shape: tuple[int, ...]) -> Elements:
        """The numbers of a source of that name and shape."""
        size = int(np.prod(shape, dtype=np.int64))
        if name not in self.first:
            self.first[name] = self.count
            self.count += size
        return np.arange(self.first[name], self.first[name] + size).reshape(shape)

    def _follow(self, name: str) -> Elements | None:
        node = self.editor.producer(name)
        if node is not None and node.op_type in VIEWS and name not in self.stops:
            results = follow(node, self.of, self.editor.constants)
            if results is not None:
                return results[node.outputs.index(name)]
        return self.own(name)


def follow(node: Node, of: Callable[[str], Elements | None], constants: Constants) -> list[Elements] | None:
    """What the outputs of a view hold, ``of`` telling it of its inputs; None where that is not known."""
    arrays = [of(name) for name in moved_inputs(node)]
    known = [a for a in arrays if a is not None]
    return view(node, known, constants) if len(known) == len(arrays) else None


def sources(editor: Editor, name: str) -> Iterator[str]:
    """A tensor, and those whose elements views made it of, back to one that is no view or that joins several."""
    yield name
    while (node := editor.producer(name)) is not None and node.op_type in FIRST_ONLY:
        name = node.inputs[0]
        yield name
