"""Running an untrusted model in onnxruntime, within limits of time and memory."""

from __future__ import annotations

from functools import cache
from threading import Event, Thread
from time import process_time
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

from rnnc.errors import UnreadableModel
from rnnc.frontend.read.limits import first_line, subgraphs

if TYPE_CHECKING:
    from onnx import ModelProto
    from onnxruntime import RunOptions

MOST_SECONDS = 5.0
"""Of CPU."""
LEAST_WAIT = 0.02
MOST_BYTES = 768 << 20
"""Three times the largest file."""
ARENA = "bfc_arena"
"""What onnxruntime's messages name where its memory does not reach."""

READS_SHORT_LISTS = (1, 29)
"""onnxruntime before it ends the process where an RNN's lists of alphas or betas have fewer values than the RNN directions."""
SHORT_LIST = "an RNN whose activation_alpha or activation_beta is not of both directions"


class DoesNotRun(Exception):
    """What onnxruntime says of a model that it does not run."""


def run(model: ModelProto, inputs: dict[str, NDArray[Any]], outputs: list[str]) -> dict[str, NDArray[Any]]:
    """Run a model in onnxruntime, without its own optimisations and messages.

    Raises UnreadableModel where it takes more than ``MOST_SECONDS`` or ``MOST_BYTES``, else DoesNotRun.
    """
    import onnxruntime as ort

    if why := ends_the_process(model):
        raise DoesNotRun(why)
    _bound_memory()
    options = ort.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = 1
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.add_session_config_entry("session.use_env_allocators", "1")
    quiet = ort.RunOptions()
    quiet.log_severity_level = 4
    done = Event()
    try:
        session = ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
        Thread(target=_stop_late, args=(quiet, done), daemon=True).start()
        return dict(zip(outputs, session.run(outputs, inputs, quiet), strict=True))
    except Exception as error:
        if quiet.terminate:
            what = f"onnxruntime takes more than {MOST_SECONDS:g} s of CPU for one sequence{_why_long(model)}"
            raise UnreadableModel(what) from error
        if ARENA in str(error):
            what = f"onnxruntime takes more than {MOST_BYTES >> 20} MiB for one sequence: one of its tensors grows too large"
            raise UnreadableModel(what) from error
        raise DoesNotRun(first_line(error)) from error
    finally:
        done.set()


def ends_the_process(model: ModelProto | bytes) -> str:
    """Why the onnxruntime that is installed must not be given a model, and what to do; "" where it may."""
    import onnxruntime as ort
    from onnx import ModelProto

    if not older(ort.__version__, READS_SHORT_LISTS):
        return ""
    short = has_short_list(ModelProto.FromString(model) if isinstance(model, bytes) else model)
    first = ".".join(map(str, READS_SHORT_LISTS))
    what = f"onnxruntime {ort.__version__} does not read {SHORT_LIST}; version {first} does"
    return what if short else ""


def older(version: str, than: tuple[int, int]) -> bool:
    """Whether a version, ``1.29.0`` or ``1.29.0.dev1+cpu``, comes before one given by its first two numbers."""
    first, second = version.split(".")[:2]
    return (int(first), int(second)) < than


def has_short_list(model: ModelProto) -> bool:
    """Whether an RNN, whatever graph or function it is in, has an alpha or a beta for some of its directions only."""
    nodes = [node for function in model.functions for node in function.node]
    nodes += [node for graph in subgraphs(model.graph, "") for node in graph.node]
    for node in nodes:
        if node.op_type == "RNN":
            given = {a.name: a for a in node.attribute}
            directions = 2 if "direction" in given and given["direction"].s == b"bidirectional" else 1
            lists = [given[name] for name in ("activation_alpha", "activation_beta") if name in given]
            if any(len(a.floats) < directions for a in lists):
                return True
    return False


def _stop_late(quiet: RunOptions, done: Event) -> None:
    """End a run that has taken its seconds of CPU: how busy the machine is does not decide what is read."""
    end = process_time() + MOST_SECONDS
    while not done.wait(max(end - process_time(), LEAST_WAIT)):
        if process_time() >= end:
            quiet.terminate = True
            return


def _why_long(model: ModelProto) -> str:
    """What may be the cause."""
    if any(node.op_type == "Loop" for graph in subgraphs(model.graph, "") for node in graph.node):
        return ": does its Loop end?"
    return ": the model has no Loop, so it is too large"


@cache
def _bound_memory() -> None:
    """Give sessions that ask for it an allocator with a limit, which all of them share."""
    import onnxruntime as ort

    memory = ort.OrtMemoryInfo("Cpu", ort.OrtAllocatorType.ORT_ARENA_ALLOCATOR, 0, ort.OrtMemType.DEFAULT)
    as_asked = 1
    arena = ort.OrtArenaCfg({"max_mem": MOST_BYTES, "arena_extend_strategy": as_asked})
    ort.create_and_register_allocator(memory, arena)
