"""What all tests share: tools that may be missing, and the hypothesis profile."""

from __future__ import annotations

import importlib
import os
import pkgutil
import shutil
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import settings

import rnnc

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
