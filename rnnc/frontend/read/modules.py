"""Models as Python holds them: a ModelProto, a torch module, a Keras model; each as the content of the file it exports to."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnnc.errors import UsageError
from rnnc.frontend.read.limits import first_line
from rnnc.frontend.read.running import DoesNotRun, run
from rnnc.interruption import TemporaryFolder

OPEN_AXES = 2
"""Batch and time come first, in either order: torch is told that these axes of an example may have any length."""

OPEN_LENGTH = 7
"""Of an open axis of a Keras model, where its export is compared with it."""
CLOSE = 1e-3
"""Of the largest result: how far an export may be from the module that it is of, in float32."""
CONSTANTS_AS_INPUTS = (
    "Keras makes inputs of the numbers of a Normalization layer: normalise before the model, or with a Rescaling layer of the "
    "same numbers."
)


def content_of(source: Any, example: Any = None) -> str | Path | bytes:
    """A path or a file's content as it is; of a ModelProto, a torch module or a Keras model, the content of its file.

    Args:
        example: an input of a torch module, or a sequence of its inputs: tensors or arrays; of a Keras model, what it is
            called with, where it does not tell the shapes of its inputs.

    Raises UsageError for anything else, for a module without an example, and where the export computes something else than
    the module.
    """
    if isinstance(source, str | Path | bytes):
        return source
    if _is(source, "onnx", "ModelProto"):
        return bytes(source.SerializeToString())
    return exported(source, example)


def exported(source: Any, example: Any = None, outputs: Sequence[str] = ()) -> bytes:
    """The content of the file that a torch module or a Keras model is exported to; raises as ``content_of``.

    Args:
        outputs: names of a torch module's outputs; as its exporter calls them where there are none.
    """
    if _is(source, "keras", "Model"):  # of torch's modules too, where torch is what Keras computes with
        if outputs:
            raise UsageError("the outputs of a Keras model are named after its layers", hint="Leave outputs=... out.")
        return _of_keras(source, example)
    if _is(source, "torch", "Module"):
        return _of_torch(source, example, outputs)
    raise UsageError(
        f"a {type(source).__name__} is not a model",
        hint="Give the path or the bytes of an ONNX file, a ModelProto, a torch module with example=..., or a Keras model.",
    )


def name_of(source: Any) -> str:
    """The name of a module's class, in lower case; "" of what has names of its own."""
    if isinstance(source, str | Path | bytes) or _is(source, "onnx", "ModelProto"):
        return ""
    return type(source).__name__.lower()


def _is(value: Any, package: str, name: str) -> bool:
    """Whether a value is of a package's class or of one derived from it; the package is not imported."""
    return any(c.__name__ == name and c.__module__.partition(".")[0] == package for c in type(value).__mro__)


def _of_torch(module: Any, example: Any, outputs: Sequence[str]) -> bytes:
    torch: Any = import_module("torch")
    if example is None:
        shape = "torch.zeros(1, STEPS, FEATURES)"
        raise UsageError("a torch module needs an input to be exported with", hint=f"Say example={shape}, for one.")
    kind = next((p.dtype for p in module.parameters()), torch.float32)
    tensors = map(torch.as_tensor, example if isinstance(example, list | tuple) else [example])
    inputs = tuple(x.to(kind) if x.is_floating_point() else x for x in tensors)
    lengths = tuple(dict.fromkeys(range(min(OPEN_AXES, x.ndim)), torch.export.Dim.AUTO) for x in inputs)
    with _evaluating(module), _quiet():
        try:
            names = {"output_names": list(outputs)} if outputs else {}
            program = torch.onnx.export(module, inputs, dynamo=True, dynamic_shapes=lengths, verbose=False, **names)
        except ImportError as error:
            raise UsageError(f"torch cannot export: {error}", hint="pip install onnx onnxscript") from None
        except torch.onnx.OnnxExporterError as error:
            lines = [line.strip() for line in str(error).splitlines() if line.strip()]
            raise UsageError(f"torch cannot export {type(module).__name__}: {lines[-1]}") from error
        given = [x + torch.randn_like(x) if x.is_floating_point() else x for x in inputs]
        with torch.no_grad():
            wanted = _leaves(module(*given))
    if outputs and len(outputs) != len(wanted):
        raise UsageError(f"{len(outputs)} names of outputs: {type(module).__name__} has {len(wanted)}")
    _compare(program.model_proto, [x.numpy() for x in given], wanted)
    return bytes(program.model_proto.SerializeToString())


def _leaves(results: Any) -> list[NDArray[Any]]:
    """The arrays of what a module returns, in order."""
    if isinstance(results, Mapping | list | tuple):
        return [x for part in (results.values() if isinstance(results, Mapping) else results) for x in _leaves(part)]
    return [] if results is None else [np.asarray(results)]


def _compare(model: Any, given: Sequence[NDArray[Any]], wanted: Sequence[NDArray[Any]]) -> None:
    """Raise UsageError where onnxruntime does not make of an export what its module makes of the same inputs."""
    extra = [v.name for v in model.graph.input][len(given) :]
    if extra:
        what = f"what is exported has inputs that the model has not: {', '.join(extra)}"
        raise UsageError(what, hint=CONSTANTS_AS_INPUTS)
    hint = "Export it by hand, with fixed lengths or another exporter, and compare the file with the module."
    try:
        found = run(
            model,
            {v.name: x for v, x in zip(model.graph.input, given, strict=True)},
            [o.name for o in model.graph.output],
        )
    except (DoesNotRun, ValueError) as error:
        raise UsageError(f"what is exported does not run in onnxruntime: {first_line(error)}", hint=hint) from error
    for y, (name, got) in zip(wanted, found.items(), strict=True):
        apart = np.abs(got - y).max(initial=0) if got.shape == y.shape else np.inf
        if not apart <= CLOSE * np.abs(y).max(initial=0):
            raise UsageError(f"what is exported gives another {name!r} than the module does", hint=hint)


@contextmanager
def _evaluating(module: Any) -> Iterator[None]:
    """Put a module into evaluation mode, and each of its parts back into its own mode at the end."""
    learning = [part for part in module.modules() if part.training]
    module.eval()
    try:
        yield
    finally:
        for part in learning:
            part.training = True


@contextmanager
def _quiet() -> Iterator[None]:
    """Silence exporters, whose warnings say nothing about the network."""
    disabled = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(disabled)


def _of_keras(model: Any, example: Any) -> bytes:
    given = _examples(model, example)
    with TemporaryFolder() as folder, _quiet():
        file = Path(folder) / "model.onnx"
        wanted = _leaves(model.predict(given if len(given) > 1 else given[0], verbose=0))
        try:
            model.export(str(file), format="onnx", verbose=False)
        except ImportError as error:
            raise UsageError(f"Keras cannot export: {error}", hint="Install what it names, with pip.") from None
        except (ValueError, RuntimeError) as error:
            raise UsageError(f"Keras cannot export {type(model).__name__}: {first_line(error)}") from error
        content = file.read_bytes()
    _compare(import_module("onnx").load_from_string(content), given, wanted)
    return content


def _examples(model: Any, example: Any) -> list[NDArray[Any]]:
    """Inputs of a Keras model: the example, or noise of the shapes that the model tells, with a length where one is open."""
    if example is not None:
        return [np.asarray(x) for x in (example if isinstance(example, list | tuple) else [example])]
    tensors = getattr(model, "inputs", None)
    if not tensors:
        raise UsageError(f"the model {type(model).__name__} tells no shapes of its inputs", hint="Say example=x.")
    rng, found = np.random.default_rng(0), []
    for tensor in tensors:
        shape = [1 if k == 0 else n or OPEN_LENGTH for k, n in enumerate(tensor.shape)]
        noise = rng.standard_normal(shape).astype(np.float32)
        found.append(noise if "float" in str(tensor.dtype) else np.zeros(shape, str(tensor.dtype)))
    return found
