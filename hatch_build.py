"""Put the data files that rnnc reads at run time into the wheel.

An editable install reads them from the checkout. A copy would go stale there, so only a standard wheel gets one;
hatchling's own ``force-include`` table cannot tell the two apart.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

FOLDERS = ("templates", "runtime_c")
EXAMPLE = "examples/gesture"
EXAMPLE_FILES = ("README.md", "LICENSE-data", "gesture.onnx", "calib.npz", "test.npz", "main.c")


class DataFiles(BuildHookInterface):  # type: ignore[type-arg]
    """Adds templates/, runtime_c/ and the demo's files below rnnc/_data."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        if self.target_name != "wheel" or version != "standard":
            return
        for path in (*FOLDERS, *(f"{EXAMPLE}/{name}" for name in EXAMPLE_FILES)):
            source = Path(self.root) / path
            if not source.exists():
                raise FileNotFoundError(f"{path}: needed in the wheel")
            build_data["force_include"][str(source)] = f"rnnc/_data/{path}"
