"""What surrounds a compilation and once ended it, or passed unseen: terminals, linkers, other names and targets."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from onnx import ModelProto

from rnnc.backend.targets import TARGETS
from rnnc.errors import VerificationError
from rnnc.verification.host import HostPackage
from tests.conftest import require
from tests.support.nets import draw, draw_integers, noise, to_integers
from tests.support.packages import package
from tests.support.small import small

ROOT = Path(__file__).parents[2]


def test_a_name_that_the_terminal_cannot_show_ends_no_command(tmp_path: Path) -> None:
    model = ModelProto.FromString(small())
    model.graph.input[0].name = model.graph.node[0].input[0] = "入力"
    (tmp_path / "m.onnx").write_bytes(model.SerializeToString())
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONIOENCODING": "ascii"}
    command = [sys.executable, "-m", "rnnc", "inspect", "m.onnx"]
    done = subprocess.run(command, cwd=tmp_path, env=environment, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert r"\u5165\u529b" in done.stdout


def test_c_that_does_not_link_is_no_traceback() -> None:
    require("gcc")
    program, files = package(draw_integers(1, ("dense",)), "net")
    broken = files["net.c"].replace("(void)memset(s, 0, sizeof *s);", "{ extern void nowhere(void); nowhere(); }", 1)
    with pytest.raises(VerificationError, match=r"does not (link|compile)"):
        HostPackage(program, {**files, "net.c": broken})


def test_the_id_of_a_blob_is_the_same_under_any_name_on_any_target() -> None:
    qnet = draw_integers(2, ("gru_after", "dense"))
    ids = set()
    for name in ("net", "other"):
        for target in TARGETS:
            _, files = package(qnet, name, target)
            ids |= set(re.findall(r"_MODEL_ID (\w+)", files[f"{name}.h"]))
    assert len(ids) == 1


def test_calibration_sees_what_comes_after_the_end_of_a_sequence() -> None:
    """A network that looks ahead answers in its flush: sequences as short as its latency have samples there, too."""
    net = draw(5, ("skip",))
    (conv,) = (op for op in net.ops if op.kind == "conv")
    ahead = conv.timing.tail
    assert ahead > 0
    qnet = to_integers(net, noise(net, ahead, 1))
    assert np.all(qnet.formats[qnet.outputs[0].value].scale > 0)
