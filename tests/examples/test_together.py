"""Four examples in one firmware: a quarter of their flash is what they share."""

from __future__ import annotations

from pathlib import Path

import pytest

import rnnc
from rnnc.files import write_files
from rnnc.options import Options
from rnnc.several import NetworkRequest, compile_several
from tests.conftest import require
from tests.support.packages import run

EXAMPLES = Path(__file__).parents[2] / "examples"
NETWORKS = ("gesture/gesture", "heartbeat/heartbeat", "policy/policy", "temperature/temperature_lstm")
COMPILE = "arm-none-eabi-gcc -mcpu=cortex-m4 -mthumb -std=c99 -O2 -ffunction-sections -fdata-sections -I. -c".split()


def flash(folder: Path, source: str) -> int:
    """Bytes of code and constants of a source."""
    run([*COMPILE, source, "-o", "out.o"], folder)
    return int(run(["arm-none-eabi-size", "out.o"], folder).splitlines()[1].split()[0])


@pytest.mark.target
def test_they_take_at_most_three_quarters_of_the_flash_of_the_four_alone(tmp_path: Path) -> None:
    require(COMPILE[0])
    options = Options(target="cortex-m4")
    requests = [NetworkRequest(str(EXAMPLES / f"{name}.onnx"), None, options) for name in NETWORKS]
    made = compile_several(requests, "firmware", verify=False)
    write_files(tmp_path / "together", made.files)
    alone = 0
    for package in made.packages:
        assert (
            package.files
            == rnnc.compile_model(EXAMPLES.parent / _file(package.name), options=options, verify=False).files
        )
        write_files(tmp_path / package.name, package.files)
        alone += flash(tmp_path / package.name, f"{package.name}.c")
    assert flash(tmp_path / "together", "firmware.c") <= 0.75 * alone


def _file(name: str) -> str:
    return next(f"examples/{path}.onnx" for path in NETWORKS if path.endswith(f"/{name}"))
