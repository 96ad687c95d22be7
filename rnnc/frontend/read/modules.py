"""Models as Python holds them: a ModelProto, a torch module, a Keras model; each as the content of the file it exports to."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

from rnnc.errors import UsageError
from rnnc.frontend.read.limits import first_line
from rnnc.interruption import TemporaryFolder

OPEN_AXES = 2
"""Batch and time come first, in either order: torch is told that these axes of an example may have any length."""


def content_of(source: Any, example: Any = None) -> str | Path | bytes:
    """A path or a file's content as it is; of a ModelProto, a torch module or a Keras model, the content of its file.

    Args:
        example: an input of a torch module, or a sequence of its inputs: tensors or arrays; of a Keras model that was never
            called, what it is called with.

    Raises UsageError for anything else, and for a module without an example.
    """
    if isinstance(source, str | Path | bytes):
        return source
    if _is(source, "onnx", "ModelProto"):
        return bytes(source.SerializeToString())
    if _is(source, "keras", "Model"):  # of torch's modules too, where torch is what Keras computes with
        return _of_keras(source, example)
    if _is(source, "torch", "Module"):
        return _of_torch(source, example)
    raise UsageError(
        f"a {type(source).__name__} is no model",
        hint="Give the path or the bytes of an ONNX file, a ModelProto, a torch module with example=..., or a Keras model.",
    )


def name_of(source: Any) -> str:
    """The name of a module's class, in lower case; "" of what has names of its own."""
    return (
        ""
        if isinstance(source, str | Path | bytes) or _is(source, "onnx", "ModelProto")
        else type(source).__name__.lower()
    )


def _is(value: Any, package: str, name: str) -> bool:
    """Whether a value is of a package's class or of one derived from it; the package is not imported."""
    return any(c.__name__ == name and c.__module__.partition(".")[0] == package for c in type(value).__mro__)


def _of_torch(module: Any, example: Any) -> bytes:
    torch: Any = import_module("torch")
    if example is None:
        shape = "torch.zeros(1, STEPS, FEATURES)"
        raise UsageError("a torch module needs an input to be exported with", hint=f"Say example={shape}, for one.")
    inputs = tuple(map(torch.as_tensor, example if isinstance(example, list | tuple) else [example]))
    lengths = tuple(dict.fromkeys(range(min(OPEN_AXES, x.ndim)), torch.export.Dim.AUTO) for x in inputs)
    with _evaluating(module), _quiet():
        try:
            program = torch.onnx.export(module, inputs, dynamo=True, dynamic_shapes=lengths, verbose=False)
        except ImportError as error:
            raise UsageError(f"torch cannot export: {error}", hint="pip install onnx onnxscript") from None
        except torch.onnx.OnnxExporterError as error:
            lines = [line.strip() for line in str(error).splitlines() if line.strip()]
            raise UsageError(f"torch cannot export {type(module).__name__}: {lines[-1]}") from error
    return bytes(program.model_proto.SerializeToString())


@contextmanager
def _evaluating(module: Any) -> Iterator[None]:
    """A module as it answers, not as it learns; each of its parts goes on as before."""
    learning = [part for part in module.modules() if part.training]
    module.eval()
    try:
        yield
    finally:
        for part in learning:
            part.training = True


@contextmanager
def _quiet() -> Iterator[None]:
    """Without the warnings of exporters, which are about what they were not asked for."""
    disabled = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(disabled)


def _of_keras(model: Any, example: Any) -> bytes:
    with TemporaryFolder() as folder, _quiet():
        file = Path(folder) / "model.onnx"
        try:
            if example is not None:
                model(example)
            model.export(str(file), format="onnx", verbose=False)
        except ImportError as error:
            raise UsageError(f"Keras cannot export: {error}", hint="Install what it names, with pip.") from None
        except (ValueError, RuntimeError) as error:
            hint = (
                "" if example is not None else "Of a model that was never called it wants to know an input: example=x."
            )
            raise UsageError(f"Keras cannot export: {first_line(error)}", hint=hint) from error
        return file.read_bytes()
