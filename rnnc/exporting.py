"""A torch module or a Keras model as an ONNX file: the way to a file without warnings, and without a thought of axes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rnnc.files import write_file
from rnnc.frontend.read.modules import exported


def export(source: Any, file: str | Path, example: Any = None, *, outputs: Sequence[str] = ()) -> Path:
    """Write a module to an ONNX file that every command of rnnc takes; its weights are in it.

    Args:
        source: a torch module, exported as it answers (``eval``) with batch and time of any length, or a Keras model.
        file: the path to write; what is there is replaced.
        example: an input of a torch module, or a sequence of its inputs: tensors or arrays.
        outputs: names of a torch module's outputs, in order; those that its exporter finds, where none are given.

    Returns the path. Raises UsageError where the source is no such model, where it cannot be exported, and where onnxruntime
    does not make of the file what the module makes of the same inputs.
    """
    write_file(file, exported(source, example, outputs))
    return Path(file)
