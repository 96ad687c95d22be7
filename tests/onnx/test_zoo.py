"""Every export of the zoo through the front end: equal to onnxruntime in float, or refused for a reason that is listed.

The files are test data from outside of the project: the environment variable RNNC_SHARED names the folder.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from rnnc.errors import Refused
from rnnc.options import Options
from tests.support.imports import import_error

SHARED = Path(os.environ.get("RNNC_SHARED", ""))
FILES = (
    [f for folder in ("zoo/*", "nets", "models") for f in sorted(SHARED.glob(f"{folder}/*.onnx"))]
    if SHARED.name
    else []
)
LIMIT = 1e-5
WINDOW = 20
"""Steps of a sequence in every file of the zoo that fixes its length."""
BACKWARD = r"--window T"
BROKEN = "a broken export"
MASKED = "Masks are not supported"

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not FILES, reason="RNNC_SHARED does not name the folder of test models"),
]


def refusal_of(name: str) -> str:
    """What a file must be refused for, "" where it must compile; by what the network is, as its name tells."""
    if re.search(r"_bi(2?_|lstm|\.)|_back|^icu", name):
        return BACKWARD
    if "mask" in name:
        return MASKED
    return BROKEN if name.startswith("lstm_proj") else ""


@pytest.mark.parametrize("path", FILES, ids=lambda p: f"{p.parent.name}/{p.stem}")
def test_import(path: Path) -> None:
    reason = refusal_of(path.name)
    if reason:
        with pytest.raises(Refused, match=f"(?s)node '.*{reason}"):
            import_error(path.read_bytes())
    if reason in (BROKEN, MASKED):
        return
    error, _ = import_error(path.read_bytes(), Options(window=WINDOW if reason else 0))
    assert error < LIMIT
