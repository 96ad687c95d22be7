"""What all tests share: tools that may be missing, and the hypothesis profile."""

from __future__ import annotations

import importlib
import os
import pkgutil
import shutil
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import settings

import rnnc
from tests.support.small import FEATURES, small

for _module in pkgutil.walk_packages(rnnc.__path__, "rnnc."):
    if not _module.name.endswith("__main__"):  # hypothesis draws the constants of loaded modules: always the same ones
        importlib.import_module(_module.name)

settings.register_profile("rnnc", deadline=None, derandomize=True, database=None)
settings.load_profile("rnnc")


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of reference networks, named by RNNC_SHARED; what needs it is skipped without."""
    folder = os.environ.get("RNNC_SHARED", "")
    if not folder:
        pytest.skip("RNNC_SHARED is not set: no reference networks here")
    return Path(folder)


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder, which is the current one."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def with_net(here: Path) -> Path:
    """The current folder, with a small network and 120 steps to calibrate it: net.onnx, calib.npy."""
    (here / "net.onnx").write_bytes(small())
    np.save(here / "calib.npy", np.random.default_rng(0).standard_normal((120, FEATURES)).astype(np.float32))
    return here


def require(tool: str) -> str:
    """The path of a program; without it a test is skipped here and fails in CI."""
    path = shutil.which(tool)
    if path is None and os.environ.get("CI"):
        pytest.fail(f"{tool} is not installed")
    if path is None:
        pytest.skip(f"{tool} is not installed")
    return path


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print how many files of the zoo compiled, and how many were refused for which reason (tests/onnx/test_zoo.py)."""
    reports = terminalreporter.getreports("passed")
    found = Counter(str(value) for report in reports for key, value in report.user_properties if key == "zoo")
    if found:
        terminalreporter.section("zoo")
        for what, count in sorted(found.items()):
            terminalreporter.line(f"{count:4}  {what}")
