"""Damaged models: each ends with a documented exit code and one message, and leaves nothing half-written."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from typer.testing import CliRunner

from rnnc.cli import app
from tests.support.mutants import mutant
from tests.support.small import small

ROOT = Path(__file__).parents[2]
EXAMPLES = [
    ROOT / "examples" / name for name in ("gesture/gesture.onnx", "sentiment/sentiment.onnx", "policy/policy.onnx")
]
SEEDS, GROUP = 120, 20
DONE, REFUSED = 0, 3


@pytest.mark.parametrize("first", range(0, SEEDS, GROUP))
def test_a_damaged_model_ends_well(first: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    bases = [small(), small(explicit=True), *(path.read_bytes() for path in EXAMPLES)]
    codes = Counter[int]()
    for seed in range(first, first + GROUP):
        name = f"m{seed}"
        (tmp_path / f"{name}.onnx").write_bytes(mutant(bases[seed % len(bases)], seed))
        command = ["compile", "--no-verify"] if seed % 2 else ["inspect"]
        answer = CliRunner().invoke(app, [*command, f"{name}.onnx"])
        lines = [line for line in answer.stderr.splitlines() if line.startswith("rnnc: error: ")]
        assert answer.exit_code in (DONE, REFUSED), f"seed {seed}: {answer.stderr}"
        assert len(lines) == (answer.exit_code == REFUSED) and "Traceback" not in answer.stderr, f"seed {seed}"
        assert (tmp_path / name).exists() == (answer.exit_code == DONE and bool(seed % 2)), f"seed {seed}"
        codes[answer.exit_code] += 1
    assert codes[DONE] and codes[REFUSED], "the mutants are neither all sound nor all broken"
