"""Which weights become int16 by themselves: within a tenth more bytes, or as few as a target in dB takes."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from onnx import helper
from typer.testing import CliRunner

import rnnc
from rnnc.backend.lower import lower
from rnnc.cli import app
from rnnc.compiler import load_net
from rnnc.errors import VerificationError
from rnnc.options import Options
from rnnc.package import Package
from rnnc.qnet import QNet, RowBlock
from rnnc.quantization.calibrate import calibrate
from rnnc.quantization.choice import Choice, Size, by_worth, choose
from rnnc.quantization.quantize import quantize
from rnnc.quantization.survey import BlockCost, pieces, survey
from tests.support.models import model
from tests.support.nets import Array
from tests.support.small import small

NET = load_net(small())


def recording(steps: int, seed: int = 0) -> Array:
    rng = np.random.default_rng(seed)
    return np.sin(np.arange(steps)[:, None] / [3, 7, 20]) + 0.3 * rng.standard_normal((steps, 3))


DATA = {"x": [recording(300)]}
RANGES = calibrate(NET, DATA, Options())


def size(qnet: QNet, target: str = "portable") -> Size:
    return Size(*(lower(qnet, name).cost.flash_weights for name in ("portable", target)))


def chosen(target: str = "portable", **asked: object) -> tuple[QNet, Choice]:
    options = replace(Options(target=target), **asked)  # type: ignore[arg-type]
    return choose(NET, RANGES, DATA, options, partial(size, target=target))


def wide(qnet: QNet) -> set[str]:
    return {b.name for b in qnet.blocks if b.wide}


@pytest.fixture(scope="module")
def int8_db() -> float:
    """Of the build with int8 weights alone, on the calibration data."""
    _, choice = chosen(min_sqnr=0.0)
    assert choice.reached is not None and choice.reached == choice.narrow_reached
    return choice.reached


def test_auto_takes_at_most_a_tenth_more_bytes() -> None:
    qnet, choice = chosen()
    assert choice.narrow_size == size(quantize(NET, RANGES, Options(weights="8")))
    assert choice.narrow_size < choice.size == size(qnet) and choice.size.portable <= 1.1 * choice.narrow_size.portable
    assert wide(qnet) == choice.wide


def test_auto_leaves_blocks_alone_that_were_named_and_8_and_16_choose_nothing() -> None:
    qnet, choice = chosen(wide=("lstm0.c.x",))
    assert wide(qnet) >= {"lstm0.c.x"} and choice.size.portable <= 1.1 * choice.narrow_size.portable
    assert wide(chosen(weights="8")[0]) == set()
    assert all(b.wide for b in chosen(weights="16")[0].blocks)


def test_without_data_nothing_is_chosen() -> None:
    qnet, _ = choose(NET, calibrate(NET, None, Options()), None, Options(min_sqnr=90), size)
    assert wide(qnet) == set()


def test_a_target_that_int8_reaches_widens_nothing(int8_db: float) -> None:
    qnet, choice = chosen(min_sqnr=int8_db - 0.1)
    assert wide(qnet) == set() and choice.size == choice.narrow_size


def test_a_target_is_reached_with_fewer_bytes_the_lower_it_is(int8_db: float) -> None:
    found = [chosen(min_sqnr=int8_db + more)[1] for more in (1, 6, 12)]
    assert all(c.reached is not None and c.target is not None and c.reached >= c.target for c in found)
    assert found[0].size <= found[1].size <= found[2].size and found[0].size < found[2].size


def test_a_target_takes_the_blocks_that_are_worth_most_and_not_one_more(int8_db: float) -> None:
    _, choice = chosen(min_sqnr=int8_db + 9)
    taken = [c.name for c in by_worth(choice.costs)][: len(choice.wide)]
    assert set(taken) == choice.wide and 1 < len(taken) < len(choice.costs)
    fewer = quantize(NET, RANGES, Options(), is_wide=lambda name: name in taken[:-1])
    reached = min(rnnc.quantization.choice._Reference(NET, DATA).decibels(fewer).values())
    assert reached is not None and reached < int8_db + 9


def test_blocks_are_worth_what_they_cost_at_the_output_that_is_worst_without_those_before() -> None:
    def cost(name: str, weights: int, a: float, b: float) -> BlockCost:
        return BlockCost(RowBlock(name, weights, wide=False), {"a": a, "b": b})

    costs = [cost("small", 10, 1.0, 0.0), cost("large", 100, 6.0, 0.0), cost("other", 10, 0.0, 2.0)]
    assert [c.name for c in by_worth(costs)] == ["small", "large", "other"]
    assert [c.name for c in by_worth([costs[0], costs[2]])] == ["other", "small"]


def test_every_target_gets_the_same_blocks_and_is_told_its_own_bytes() -> None:
    _, portable = chosen()
    for target in ("cortex-m4", "avr", "cortex-m55"):
        qnet, choice = chosen(target)
        assert choice.wide == portable.wide and choice.size.portable == portable.size.portable
        assert choice.size.target == lower(qnet, target).cost.flash_weights


def test_blocks_that_the_target_cannot_hold_stay_int8() -> None:
    """Of 150 x 150 weights, of which AVR's compiler takes no more than 32,767 B in one array."""
    n, rng, width = helper.make_node, np.random.default_rng(0), 150
    nodes = [n("MatMul", ["x", "A"], ["a"]), n("Tanh", ["a"], ["t"]), n("MatMul", ["t", "B"], ["b"])]
    nodes += [n("Tanh", ["b"], ["u"]), n("MatMul", ["u", "C"], ["y"])]
    weights = {
        k: rng.standard_normal(s) / s[0] ** 0.5
        for k, s in zip("ABC", ((3, width), (width, width), (width, 2)), strict=True)
    }
    net = load_net(model(nodes, {"x": ["time", 3]}, {"y": ["time", 2]}, weights))
    ranges = calibrate(net, DATA, Options())
    found = {
        t: choose(net, ranges, DATA, Options(target=t, min_sqnr=90.0), partial(size, target=t))
        for t in ("portable", "avr")
    }
    assert {t: len(c.wide) for t, (_, c) in found.items()} == {"portable": 3, "avr": 2}
    assert found["avr"][1].reached is not None and found["avr"][1].reached < 90


def test_with_8_bits_a_target_widens_nothing(int8_db: float) -> None:
    qnet, _ = chosen(weights="8", min_sqnr=int8_db + 6)
    assert wide(qnet) == set()


def test_the_errors_of_blocks_add_up() -> None:
    """Over builds with jittered row scales: that of one is luck."""
    foreseen = -10 * np.log10(sum(c.error for c in survey(quantize(NET, RANGES, Options()), RANGES, Options(), DATA)))
    measured = []
    for jitter in range(1, 9):
        qnet = quantize(NET, RANGES, Options(), jitter)
        choice = choose(NET, RANGES, DATA, Options(min_sqnr=0.0), lambda _: Size(0, 0))[1]
        assert choice.reached is not None
        measured += rnnc.quantization.choice._Reference(NET, DATA).decibels(qnet).values()
    assert foreseen == pytest.approx(np.mean(measured), abs=6)


def test_only_blocks_that_fit_are_surveyed() -> None:
    base = quantize(NET, RANGES, Options())
    assert {c.name for c in survey(base, RANGES, Options(), DATA, most=8)} == {"dense0"}
    assert len(survey(base, RANGES, Options(), DATA)) == len(base.blocks) == 9


def test_pieces_are_spread_over_all_and_windows_are_whole() -> None:
    long = {"x": [recording(10_000), recording(50)]}
    found = pieces(NET, long, 100)["x"]
    assert len(found) == 16 and all(len(p) <= 100 for p in found)
    assert np.array_equal(found[0], long["x"][0][:100]) and np.array_equal(found[-1], long["x"][1])
    windows = pieces(replace(NET, window=48), long, 100)["x"]
    assert {len(p) for p in windows[:-1]} == {96}


# --------------------------------------------------------------------------- what the user sees


def test_a_target_that_cannot_be_reached_fails_with_what_limits_it_and_gives_the_package() -> None:
    with pytest.raises(VerificationError, match="below 140 dB") as error:
        rnnc.compile_model(small(), {"x": recording(300)}, min_sqnr=140.0)
    assert "limits it" in error.value.hint
    package = error.value.package
    assert package is not None and package.report["weights"]["wide"] == [b.name for b in package.program.qnet.blocks]
    assert package.report["weights"]["calibration_db"] < 140
    assert any("give no more than" in note for note in package.notes)


def test_data_that_miss_a_target_which_the_calibration_data_reach_are_told_so(int8_db: float) -> None:
    options, faint = Options(min_sqnr=int8_db + 3), {"x": recording(200, seed=1) / 50}
    package = rnnc.build(small(), {"x": recording(300)}, options, test=faint)
    with pytest.raises(VerificationError, match=f"below {int8_db + 3:g} dB") as error:
        package.check()
    assert "on the calibration data 'y' has" in error.value.what and "dB more" in error.value.what
    assert "--calib" in error.value.hint and "--weights 16" in error.value.hint
    assert package.report["weights"]["calibration_outputs_db"]["y"] >= int8_db + 3
    assert not any("calibration data" in caution for caution in package.cautions)  # said once


def test_data_that_reach_a_target_far_less_well_than_the_calibration_data_are_told_of_each_output(
    int8_db: float,
) -> None:
    faint = {"x": recording(200, seed=1) / 50}
    package = rnnc.build(small(), {"x": recording(300)}, Options(min_sqnr=5.0), test=faint)
    package.check()
    (caution,) = [c for c in package.cautions if "calibration data" in c]
    known, db = package.choice.decibels["y"], package.report["verify"]["outputs"][0]["sqnr_db"]
    assert f"y {known:.1f} and {db:.1f} dB ({known - db:.1f} less)" in caution


def test_a_target_without_calibration_data_asks_for_them() -> None:
    with pytest.raises(VerificationError) as error:
        rnnc.compile_model(small(), min_sqnr=140.0)
    assert "Without --calib nothing is widened" in error.value.hint


def test_the_command_line_writes_the_package_says_bytes_and_db_and_exits_1(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, int8_db: float
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "net.onnx").write_bytes(small())
    np.save(tmp_path / "c.npy", recording(300))
    words = ["compile", "net.onnx", "--calib", "c.npy", "--no-verify", "--min-sqnr"]
    failed = CliRunner().invoke(app, [*words, "140", "-o", "far"])
    assert failed.exit_code == 1 and (tmp_path / "far/net.c").exists()
    reached = CliRunner().invoke(app, [*words, f"{int8_db + 3:.1f}"])
    assert reached.exit_code == 0, reached.stderr
    assert "B more weights (+" in reached.stderr and "dB on the calibration data, where int8 gives" in reached.stderr
    assert "int16 weights: " in reached.stdout


def test_by_layer_goes_down_to_gate_and_block() -> None:
    package = rnnc.build(small(), {"x": recording(200)}, Options(wide=("lstm0.c",)), by_layer=True)
    blocks = package.report["verify"]["by_layer"]["blocks"]
    assert [b["name"] for b in blocks] == [b.name for b in package.program.qnet.blocks]
    assert {b["name"] for b in blocks if b["bits"] == 16} >= {"lstm0.c.x", "lstm0.c.h"}
    assert all(b["int8_db"] is None or b["int8_db"] > 20 for b in blocks)


def fed_back() -> bytes:
    """A step that feeds its answer back through two layers, so that both run one step at a time."""
    rng, n = np.random.default_rng(3), helper.make_node
    nodes = [
        n("Concat", ["x", "s"], ["xs"], axis=1),
        n("MatMul", ["xs", "A"], ["a"]),
        n("Tanh", ["a"], ["t"]),
        n("MatMul", ["t", "B"], ["b"]),
        n("Tanh", ["b"], ["y"]),
        n("Identity", ["y"], ["s_out"]),
    ]
    weights = {"A": rng.standard_normal((11, 20)) / 3, "B": rng.standard_normal((20, 8)) / 4}
    return model(nodes, {"x": [1, 3], "s": [1, 8]}, {"y": [1, 8], "s_out": [1, 8]}, weights)


def compiled(data: Array) -> Package:
    """With a target that is out of reach."""
    with pytest.raises(VerificationError) as error:
        rnnc.compile_model(fed_back(), data.astype(np.float32), min_sqnr=90, states={"s": "s_out"}, verify=False)
    assert error.value.package
    return error.value.package


def test_of_what_a_step_feeds_back_the_largest_blocks_are_not_tried_where_that_takes_too_long(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    every = compiled(recording(100))
    assert all(c.tried for c in every.choice.costs)
    monkeypatch.setattr("rnnc.quantization.survey.MOST_OP_STEPS", 200)
    package = compiled(recording(100))
    tried = {c.block.weights for c in package.choice.costs if c.tried}
    left = {c.block.weights for c in package.choice.costs if not c.tried}
    assert tried and left and max(tried) <= min(left) and all(c.db is None for c in package.choice.costs if not c.tried)
    assert package.choice.wide == every.choice.wide  # a target takes what was not tried last
    assert any(f"{len(left)} of {len(package.choice.costs)} blocks" in note for note in package.notes)


def test_what_was_not_tried_takes_the_room_that_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rnnc.quantization.survey.MOST_OP_STEPS", 200)
    monkeypatch.setattr("rnnc.quantization.choice.SHARE", 0.8)
    data = recording(100).astype(np.float32)
    package = rnnc.compile_model(fed_back(), data, states={"s": "s_out"}, verify=False)
    untried = {c.name for c in package.choice.costs if not c.tried}
    assert untried & package.choice.wide
    assert any(f"{len(untried & package.choice.wide)} of these are int16" in note for note in package.notes)
