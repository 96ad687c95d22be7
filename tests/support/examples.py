"""What every example must show: its firmware prints what Python works out, and its integers score as onnxruntime does."""

from __future__ import annotations

from functools import cache, partial
from pathlib import Path

from examples.common import HERE, compile_network, find_task
from examples.firmware import WARNINGS, run_firmware, target_of
from rnnc import Package
from tests.conftest import require
from tests.support.packages import run

BOARD = "cortex-m4"
MOST_BYTES = 1_100_000


@cache
def example_package(name: str, model: str) -> Package:
    """A network of an example, compiled for the board."""
    network = next(n for n in find_task(name).NETWORKS if n.model == model)
    return compile_network(name, network, target=target_of(BOARD))


def check_firmware(name: str, model: str, folder: Path) -> str:
    """main.c in QEMU prints exactly what is expected; returns it."""
    require("arm-none-eabi-gcc")
    require("qemu-system-arm")
    package = example_package(name, model)
    printed = run_firmware(name, package, BOARD, folder)
    assert printed == find_task(name).expected(package)
    print(printed)
    return printed


def check_score(name: str, model: str) -> tuple[float, float]:
    """a16 is as near to onnxruntime as promised; returns the metric of onnxruntime and of a16."""
    task, package = find_task(name), example_package(name, model)
    reference = task.score(partial(package.simulate, engine="onnxruntime"))
    value = task.score(partial(package.simulate, engine="oracle"))
    print(f"{task.METRIC.name}: onnxruntime {reference:.5f}, a16 {value:.5f}")
    assert task.METRIC.close(value, reference)
    return reference, value


def check_warnings(name: str, model: str, folder: Path) -> None:
    """main.c has no warning under gcc and clang, and uses no floating point."""
    package = example_package(name, model)
    package.write(folder)
    (folder / "heldout.h").write_text(find_task(name).heldout(package))
    source = HERE / name / "main.c"
    for compiler in ("gcc", "clang"):
        run([require(compiler), *WARNINGS, "-O2", "-I.", f"-I{HERE}", "-c", source, "-o", "main.o"], folder)
    assert not {"float", "double", "malloc"} & set(source.read_text().replace("(", " ").replace("*", " ").split())


def check_folder(name: str) -> None:
    """An example is small, and has what a reader looks for."""
    files = [f for f in (HERE / name).rglob("*") if f.is_file() and f.suffix != ".pyc" and f.name != "train.npz"]
    assert sum(f.stat().st_size for f in files) <= MOST_BYTES
    wanted = {"README.md", "prepare.py", "train.py", "task.py", "requirements.txt", "main.c", "calib.npz", "test.npz"}
    assert wanted <= {f.name for f in files}
    assert (HERE / name / "figures.json").exists()
