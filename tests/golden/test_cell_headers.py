"""The kernels of plain recurrent layers in runtime_c are what the texts of rnnc/ops/cells.py say; `make golden` writes them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from rnnc.backend.emit import data_root
from rnnc.ops.library import library_headers


@pytest.mark.parametrize("header", library_headers())
def test_a_header_is_what_its_text_says(header: str) -> None:
    path, text = data_root() / "runtime_c" / header, library_headers()[header]
    if os.environ.get("RNNC_UPDATE_GOLDEN"):
        path.write_text(text)
        subprocess.run([Path(sys.executable).with_name("clang-format"), "-i", path], check=True)
    assert path.read_text().split() == text.split() or "".join(path.read_text().split()) == "".join(text.split())
