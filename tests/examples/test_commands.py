"""Every rnnc command that an example's README shows does what it says, run in a copy of the example's folder."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from examples.common import EXAMPLES, HERE
from tests.support.warm import warm_rnnc

COMMANDS = [
    (name, command)
    for name in EXAMPLES
    for command in re.findall(r"^    rnnc ((?!demo).+)$", (HERE / name / "README.md").read_text(), re.MULTILINE)
]


def test_every_example_shows_how_to_compile_it() -> None:
    assert {name for name, command in COMMANDS if command.startswith("compile ")} == set(EXAMPLES)


@pytest.fixture(scope="module")
def rnnc_command(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A command ``rnnc`` for all of them."""
    with warm_rnnc(tmp_path_factory.mktemp("rnnc")) as command:
        yield command


@pytest.mark.parametrize(("name", "command"), COMMANDS)
def test_command(name: str, command: str, tmp_path: Path, rnnc_command: Path) -> None:
    for file in (HERE / name).glob("*.*"):
        if file.suffix in {".onnx", ".npz"} and file.name != "train.npz":
            shutil.copy(file, tmp_path)
    done = subprocess.run(
        [rnnc_command, *shlex.split(command)],
        cwd=tmp_path, check=False, capture_output=True, text=True, env={"PATH": "/usr/bin:/bin"},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    if command.startswith("compile "):
        assert (tmp_path / name / f"{name}.h").is_file()
