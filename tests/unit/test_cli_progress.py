"""What a terminal shows while long work goes on."""

from __future__ import annotations

import os
import pty
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.support.small import FEATURES, small


def _on_a_terminal(folder: Path, *words: str) -> str:
    """All that a command writes to a terminal on stderr."""
    try:
        primary, secondary = pty.openpty()
    except OSError as error:
        pytest.skip(f"no pseudo-terminal on this machine: {error}")
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "80"}
    command = [sys.executable, "-m", "rnnc", *words]
    with subprocess.Popen(command, cwd=folder, env=environment, stdout=subprocess.DEVNULL, stderr=secondary) as process:
        os.close(secondary)
        shown = b""
        while True:
            try:
                part = os.read(primary, 4096)
            except OSError:
                break
            if not part:
                break
            shown += part
        assert process.wait(timeout=60) == 0
    os.close(primary)
    return re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", shown.decode())


def test_a_terminal_sees_each_stage_and_the_time_left(tmp_path: Path) -> None:
    (tmp_path / "net.onnx").write_bytes(small())
    np.save(tmp_path / "calib.npy", np.random.default_rng(0).standard_normal((3000, FEATURES)).astype(np.float32))
    shown = _on_a_terminal(tmp_path, "compile", "net.onnx", "--calib", "calib.npy", "--search", "10", "--no-verify")
    assert "reading the model" in shown and "quantizing" in shown
    assert re.search(r"quantizing\s\S+ \d:\d\d:\d\d", shown), "no time left while builds are tried"
    assert "wrote net/" in shown
