"""The goals of assurance/: what is cheap of each runs here; what is kept is no more than what was run."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from assurance import corpus, coverage, eva, mutation, networks, proofs, store, tables, worker
from assurance.__main__ import spend, turns
from assurance.goals import GOALS
from assurance.store import Goal, Outcome, missing, row, table
from rnnc.compiler import compile_model
from rnnc.errors import Refused
from rnnc.qnet import Bound
from rnnc.quantization.certify import certify
from tests.support.small import small

GROUP, GROUPS = 25, 6


@pytest.mark.parametrize("group", range(GROUPS))
def test_damaged_files_end_well(group: int) -> None:
    """A documented exit code, one message, 10 s, 1 GiB, nothing left: in a process each."""
    assert corpus.cases(range(group * GROUP, (group + 1) * GROUP)).failures == []


@pytest.mark.parametrize("name", proofs.THEOREMS)
def test_primitives_are_proved(name: str) -> None:
    pytest.importorskip("z3", reason="z3-solver is not installed")
    assert proofs.run(name).failures == []


@pytest.mark.parametrize(
    ("name", "right", "wrong", "claim"),
    [
        ("narrow", "return (int8_t)(upper + ((127 - upper) >> 31))", "return (int8_t)upper", "cast"),
        ("mul15", "u * (d >> 15)", "u * (d >> 14)", "overflow"),
        ("upper", "8192", "8191", "result"),
        ("shift", "s & 31", "s | 32", "0 .. 31"),
    ],
)
def test_what_is_false_is_not_proved(name: str, right: str, wrong: str, claim: str) -> None:
    z3 = pytest.importorskip("z3", reason="z3-solver is not installed")
    body = proofs.body_of(proofs.THEOREMS[name])
    assert right in body
    failures = proofs.prove(name, proofs.THEOREMS[name], body.replace(right, wrong), z3).failures
    assert any(claim in why for why in failures)


@pytest.mark.parametrize("name", tables.TABLES)
def test_tables_on_all_inputs(name: str) -> None:
    assert tables.run(name).failures == []


def test_the_c_of_a_small_network_equals_the_oracle() -> None:
    """What faults in the kernels of rows change."""
    assert compile_model(small()).report["verify"]["c_equals_oracle"]


def test_damaged_blobs_are_refused() -> None:
    assert networks.blobs("0", 500) == Outcome(500)


@pytest.mark.parametrize("worst", [1 << 31, (1 << 31) - 1])
def test_a_bound_past_31_bits_is_refused(worst: int) -> None:
    op = SimpleNamespace(bounds=lambda: [Bound("layer", "sum", worst)])
    qnet: Any = SimpleNamespace(ops=[op], net=SimpleNamespace(name="net"))
    if worst < 1 << 31:
        assert [b.worst for b in certify(qnet).bounds] == [worst]
    else:
        with pytest.raises(Refused, match="past 2\\^31"):
            certify(qnet)


def goal(run: list[str], sources: tuple[str, ...] = ("pyproject.toml",)) -> Goal:
    def one(shard: str) -> Outcome:
        run.append(shard)
        return Outcome(10, ["it failed"] if shard == "b" else [], {"seconds": len(run)})

    return Goal("some", "something", ["a", "b", "c"], 10, sources, one)


def test_what_was_run_is_not_run_again(tmp_path: Path) -> None:
    run: list[str] = []
    some = goal(run)
    spend([some], 1, tmp_path)
    spend([some], 1, tmp_path)
    assert run == ["a", "b", "c"] and missing(some, tmp_path) == []
    assert row(some, tmp_path)[:5] == ("some", "30", "30", "1", "0")
    assert store.figures(some, tmp_path) == {"seconds": 3}


def test_results_of_other_code_count_no_longer(tmp_path: Path) -> None:
    spend([goal([])], 1, tmp_path)
    other = goal([], ("README.md",))
    assert missing(other, tmp_path) == ["a", "b", "c"]
    assert row(other, tmp_path) == ("some", "0", "30", "0", "30", "-", "-")


def test_a_result_counts_as_long_as_its_own_file_is_what_it_was(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("1")
    (tmp_path / "b").write_text("1")
    each = Goal("some", "something", ["a", "b"], 1, ("{shard}",), lambda shard: Outcome(1))
    for shard in each.shards:
        store.keep(each, shard, store.key_of(each, shard, tmp_path), Outcome(1), tmp_path)
    (tmp_path / "b").write_text("2")
    assert missing(each, tmp_path, tmp_path) == ["b"]


def test_a_goal_whose_programs_are_missing_is_not_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run: list[str] = []
    spend([replace(goal(run), needs=("no-such-program",))], 1, tmp_path)
    assert run == [] and "some is not run: no-such-program is not installed" in capsys.readouterr().err


def test_alarms_are_read_with_the_functions_that_lead_there() -> None:
    said = """[eva:alarm] fixed.h:37: Warning:
  signed overflow.
  assert u * 2 <= 2147483647;
  stack: rnnc_sqrt :: functions.h:97 <-
         rnnc_scaled_root :: functions.h:9 <-
         main
[eva:alarm] main.c:1: Warning:
  out of bounds read. assert valid;
  stack: main
"""
    first, second = eva.alarms(said)
    assert first.function == "rnnc_sqrt <- rnnc_scaled_root <- main" and "u * 2 <=" in first.condition
    assert first.explained and not second.explained


def test_mutants_leave_comments_directives_and_tables_alone() -> None:
    text = """/* a + b */
#define A (1 + 2)
static const int16_t RNNC_ROM t[2] = {
    1, 2,
};
static inline int f(int x)
{
    for (; x < 3; x++) { /* 4 */
    }
    return x + t[1];
}
"""
    changes = [(text[m.start : m.end], m.put) for m in mutation.mutants(text)]
    assert changes == [("<", "<="), ("3", "4"), ("++", "--"), ("+", "-"), ("1", "2")]


def test_gaps_of_coverage_and_equivalent_mutants_name_lines_that_are_there() -> None:
    """What is excused is excused as long as the line stands there."""
    for listed in (coverage.listed(), mutation.equivalents()):
        for where in listed:
            header, _, line = where.partition(": ")
            text = " ".join((store.ROOT / "runtime_c" / header).read_text().split())
            assert line.partition(" [")[0] in text, where


def test_nothing_is_begun_after_the_time(tmp_path: Path) -> None:
    run: list[str] = []
    spend([goal(run)], 0, tmp_path)
    assert run == [] and "| 0 " in table([goal(run)], tmp_path)


def test_goals_take_turns(tmp_path: Path) -> None:
    names = [(g.name, shard) for g, shard in turns(GOALS[:2], tmp_path)]
    assert [name for name, _ in names[:4]] == ["tables", "proofs", "tables", "proofs"]


def test_every_goal_has_sources() -> None:
    for each in GOALS:
        assert all(list(store.ROOT.glob(p.replace("{shard}", "*"))) for p in each.sources), each.name


@pytest.mark.parametrize(
    ("run", "left", "why"),
    [
        (worker.Run(0, 1, 100, ""), ["out"], ""),
        (worker.Run(3, 1, 100, "rnnc: error: no\n"), [], ""),
        (worker.Run(3, 1, 100, "rnnc: error: no\n"), ["out"], "left"),
        (worker.Run(3, 1, 100, ""), [], "0 messages"),
        (worker.Run(70, 1, 100, "rnnc: error: internal\n"), [], "exit code 70"),
        (worker.Run(worker.ENDED + 11, 1, 100, ""), [], "signal 11"),
        (worker.Run(0, 11, 100, ""), [], "11.0 s of CPU"),
        (worker.Run(0, 1, 2000, ""), [], "2000 MiB"),
        (worker.Run(4, 1, 100, "Traceback\nrnnc: error: x"), [], "traceback"),
    ],
)
def test_how_a_command_must_end(run: worker.Run, left: list[str], why: str, tmp_path: Path) -> None:
    for name in left:
        (tmp_path / name).mkdir()
    found = worker.fault(run, set(), tmp_path, "out")
    assert why in found and bool(why) == bool(found)
