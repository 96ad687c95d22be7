"""Every export of the zoo: equal to onnxruntime in float, the C equal to the oracle, or refused for a reason that is listed.

The files are test data from outside of the project: the environment variable RNNC_SHARED names the folder. How many
files compiled, and how many were refused for which reason, is printed at the end of the run.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from rnnc.compiler import build
from rnnc.errors import Refused
from rnnc.frontend.read.load import load
from rnnc.frontend.stream.survey import survey
from rnnc.options import Options

SHARED = Path(os.environ.get("RNNC_SHARED", ""))
FILES = [f for folder in ("zoo/*", "models") for f in sorted(SHARED.glob(f"{folder}/*.onnx"))] if SHARED.name else []
LIMIT = 1e-5
STEPS = 200
"""The fewest steps over which the C is compared with the oracle."""
WINDOW = 20
"""Steps of a sequence in every file of the zoo that fixes its length."""
BACKWARD = "Compile with window=T"
BROKEN = "a broken export"

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not FILES, reason="RNNC_SHARED does not name the folder of test models"),
]


def refusal_of(name: str) -> str:
    """What a file must be refused for, "" where it must compile; by what the network is, as its name tells."""
    if re.search(r"_bi(2?_|lstm|\.)|_back|^icu", name):
        return BACKWARD
    return BROKEN if name.startswith("lstm_proj") else ""


@pytest.mark.parametrize("path", FILES, ids=lambda p: f"{p.parent.name}/{p.stem}")
def test_file(path: Path, record_property: Callable[[str, object], None]) -> None:
    reason = refusal_of(path.name)
    if reason:
        with pytest.raises(Refused, match=f"(?s)node '.*{reason}") as refused:
            build(path, None, Options(), verify=False)
        found = survey(path, Options(), load(path, Options()), error=refused.value)
        assert [f.why for f in found if f.status == "refused"] == [refused.value.what]
        record_property("zoo", f"refused: {reason}")
    if reason != BROKEN:
        options = Options(window=WINDOW if reason else 0)
        package = build(path, None, options)
        found = survey(path, options, package.graph, package.program.qnet.net)
        assert {f.status for f in found} <= {"compiled", "folded"}
        figures = package.report["verify"]
        assert figures["c_equals_oracle"] is True
        assert figures["import_max_rel"] <= LIMIT
        assert figures["steps"] >= STEPS
        record_property("zoo", "compiled with --window" if reason else "compiled")
