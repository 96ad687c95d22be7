"""rnnc tune: what is tried, which of it nothing else beats, and what budgets leave."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
from typer.testing import CliRunner

import rnnc
from rnnc import tuning
from rnnc.cli import app
from rnnc.cli.tune import _sentences
from rnnc.errors import UsageError
from rnnc.options import Options
from rnnc.tuning import Candidate, Tuning, tune
from tests.conftest import require
from tests.support.small import FEATURES, small

Array = np.ndarray[Any, Any]


def _data(steps: int = 400) -> dict[str, Array]:
    return {"x": np.random.default_rng(0).standard_normal((steps, FEATURES)).astype(np.float32)}


@pytest.fixture
def estimates(monkeypatch: pytest.MonkeyPatch) -> None:
    """No emulator: instructions are estimated."""
    monkeypatch.setattr(tuning, "missing_tools", lambda _: ["qemu"])


def test_layers_have_a_precision_of_their_own() -> None:
    content = small()
    mixed = rnnc.compile_model(content, _data(), layer_precision={"lstm0": "a8"}, verify=False)
    assert mixed.report["precision"] == "a16, a8: lstm0"
    assert mixed.program.qnet.ops[0].states()[0].format.bits == 8
    plain = rnnc.compile_model(content, _data(), verify=False)
    assert plain.program.qnet.ops[0].states()[0].format.bits == 16
    back = rnnc.compile_model(content, _data(), precision="a8", layer_precision={"lstm0": "a16"}, verify=False)
    assert back.report["precision"] == "a8, a16: lstm0"
    assert back.program.qnet.ops[0].states()[0].format.bits == 16


def test_a_layer_that_is_not_there_is_refused() -> None:
    with pytest.raises(UsageError, match="no layer 'lstm7'") as refusal:
        rnnc.compile_model(small(), layer_precision={"lstm7": "a8"}, verify=False)
    assert "lstm0" in refusal.value.hint


@pytest.mark.usefixtures("estimates")
def test_every_combination_of_few_layers_is_tried() -> None:
    heard: list[tuple[int, int]] = []
    found = tune(small(), _data(), Options(), progress=lambda done, total: heard.append((done, total)))
    assert found.layers == ("lstm0",) and not found.counted
    a16, a8 = (c for c in found.candidates if c.weights == "auto")
    assert (a16.a8, a8.a8) == ((), ("lstm0",))
    assert a16.sqnr_db > a8.sqnr_db > 20
    assert heard[-1][0] == heard[-1][1]
    compiled = rnnc.compile_model(small(), _data(), layer_precision={"lstm0": "a8"})
    assert compiled.verified is not None
    assert a8.sqnr_db == pytest.approx(compiled.report["verify"]["outputs"][0]["sqnr_db"], abs=0.3)


def test_choices_of_many_layers_are_nested() -> None:
    assert len(tuning._choices(["a", "b", "c"])) == 8
    assert tuning._choices(list("abcde")) == [
        *((), ("a",), ("a", "b"), ("a", "b", "c"), ("a", "b", "c", "d"), ("a", "b", "c", "d", "e")),
        *(("b",), ("c",), ("d",), ("e",)),
    ]


def _candidate(name: str, sqnr: float, instructions: int, flash: int = 100) -> Candidate:
    return Candidate((name,), sqnr, flash, 10, instructions)


def test_the_front_holds_what_nothing_beats() -> None:
    best, cheap, worse = _candidate("a", 50, 900), _candidate("b", 40, 500), _candidate("c", 39, 600)
    found = Tuning((), "portable", True, (cheap, best, worse), None)
    assert found.front == (best, cheap)
    assert cheap.beats(worse) and not worse.beats(cheap) and not best.beats(best)


@pytest.mark.parametrize(
    ("flash", "instructions", "proposed"),
    [(None, None, "b"), (None, 950, "b"), (None, 650, "c"), (90, None, "d"), (90, 1, None)],
)
def test_budgets_decide(flash: int | None, instructions: int | None, proposed: str | None) -> None:
    candidates = (
        *(_candidate("a", 50, 1000), _candidate("b", 49.5, 900), _candidate("c", 40, 500)),
        _candidate("d", 30, 2000, flash=80),
    )
    fitting = [
        c
        for c in candidates
        if (not flash or c.flash <= flash) and (not instructions or c.instructions <= instructions)
    ]
    chosen = tuning._proposed(fitting, budgeted=bool(flash or instructions))
    assert (chosen.a8[0] if chosen else None) == proposed


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "net.onnx").write_bytes(small())
    np.savez(tmp_path / "calib.npz", **cast(Any, _data()))
    return tmp_path


def _run(*words: str) -> Any:
    return CliRunner().invoke(app, ["tune", "net.onnx", *words])


@pytest.mark.usefixtures("estimates", "here")
def test_the_command_says_what_to_compile_with() -> None:
    answer = _run("--calib", "calib.npz")
    assert answer.exit_code == 0, answer.stderr
    assert "estimates from the multiply-accumulates" in answer.stderr
    command = next(line for line in answer.stdout.splitlines() if line.startswith("rnnc compile net.onnx "))
    assert command.endswith(" --calib calib.npz") and "proposed" in answer.stdout
    assert max(map(len, answer.stdout.splitlines())) <= 80


@pytest.mark.usefixtures("estimates")
def test_json_a_plot_and_a_page_that_ranks_widths_and_operands_in_one_picture(here: Path) -> None:
    plot = ["--plot", "out.png"] if _has_matplotlib() else []
    answer = _run("--calib", "calib.npz", "--json", "--report", "tune.html", *plot)
    content, page = json.loads(answer.stdout), (here / "tune.html").read_text()
    tried = content["candidates"]
    assert content["layers"] == ["lstm0"] and content["instructions_counted"] is False
    assert {tuple(c["a8"]) for c in tried} == {(), ("lstm0",)} and {c["weights"] for c in tried} >= {"8", "auto", "16"}
    if plot:
        assert (here / "out.png").read_bytes()[:4] == b"\x89PNG"
    drawn = page[page.index("<svg") : page.index("</svg>")]
    axes, small_operands = 2, sum(bool(c["a8"]) for c in tried)
    assert drawn.count("<circle") == axes * (len(tried) - small_operands)
    assert drawn.count("<rect") == axes * small_operands
    assert len(re.findall('class="(?:front|proposed)"', drawn)) == axes * sum(c["pareto"] for c in tried)
    assert not re.search(r"<script|<link|src=|href=|url\(|@import", page)
    assert "8-bit operands do not pay on portable" in page and "instructions are estimates" in page
    assert "rnnc compile net.onnx " in page


def _has_matplotlib() -> bool:
    try:
        import matplotlib  # noqa: F401
    except ImportError:
        return False
    return True


@pytest.mark.usefixtures("estimates", "here")
def test_budgets_that_nothing_keeps_to_fail() -> None:
    answer = _run("--calib", "calib.npz", "--budget-flash", "10")
    assert answer.exit_code == 1 and "no choice fits the budget" in answer.stderr
    assert "weights have 8 bits at least" in answer.stderr
    answer = _run("--calib", "calib.npz", "--budget-instructions", "1")
    assert answer.exit_code == 1 and "The fewest instructions are" in answer.stderr


@pytest.mark.usefixtures("estimates")
def test_weights_and_operands_are_ranked_together() -> None:
    found = tune(small(), _data(), Options(target="cortex-m4"))
    labels = {c.weights: c for c in found.candidates if not c.a8}
    assert {"8", "auto", "16"} <= set(labels) and any(label.startswith("+") for label in labels)
    narrow, full = labels["8"], labels["16"]
    assert narrow.wide == () and set(full.wide) == {"lstm0", "dense0"}
    assert full.sqnr_db > narrow.sqnr_db + 5 and full.flash > narrow.flash
    assert all(narrow.flash <= c.flash <= full.flash for c in found.candidates)
    assert found.proposed is not None and found.proposed.flash <= labels["auto"].flash
    shares = [c for c in found.candidates if c.weights.startswith("+") and not c.a8]
    for c in shares:
        again = rnnc.compile_model(small(), _data(), weights="8", wide=c.wide, verify=False)
        assert again.report["cost"]["flash_weights"] <= (1 + float(c.weights[1:-1]) / 100 + 0.05) * narrow.flash


def test_8_bit_operands_that_save_no_instructions_do_not_pay_and_it_is_told() -> None:
    a16, a8, wide = (
        Candidate((), 50, 900, 80, 1000, "8"),
        Candidate(("a",), 40, 900, 70, 990, "8"),
        _candidate("a", 60, 9),
    )
    idle = Tuning(("a",), "cortex-m4", True, (a16, a8, wide), None)
    assert idle.operands == (a16, a8) and idle.a8_pays is False
    (told,) = _sentences(idle)
    assert told.startswith("8-bit operands do not pay on cortex-m4:") and "cost 10.0 dB" in told
    quicker = Candidate(("a",), 40, 900, 70, 800, "8")
    quick = Tuning(("a",), "cortex-m55", True, (a16, quicker, wide), None)
    assert quick.a8_pays is True and _sentences(quick)[0].startswith("8-bit operands pay on cortex-m55:")
    assert Tuning((), "cortex-m55", True, (a16,), None).a8_pays is None


@pytest.mark.usefixtures("here")
def test_without_data_there_is_nothing_to_tune_on() -> None:
    answer = _run()
    assert answer.exit_code == 2 and "--calib" in answer.stderr


@pytest.mark.usefixtures("here")
def test_instructions_are_counted_where_there_is_an_emulator() -> None:
    require("qemu-system-arm")
    require("arm-none-eabi-gcc")
    answer = _run("--calib", "calib.npz", "--target", "cortex-m4", "--json")
    content = json.loads(answer.stdout)
    assert content["instructions_counted"] is True
    assert all(500 < c["instructions"] < 5000 and c["flash"] > 500 for c in content["candidates"])
