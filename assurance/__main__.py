"""``python -m assurance --budget MINUTES``: run the shards that are missing, print the table, write docs/assurance.md."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from assurance.goals import GOALS
from assurance.store import RESULTS, ROOT, Goal, current, figures, keep, key_of, missing, table

PAGE = ROOT / "docs" / "assurance.md"
ABOUT = """# Assurance

What is tested for longer than the test suite may take. Each goal is cut into shards; a shard's result counts as long as what it
tests is unchanged: the C of its networks, a kernel, the files that read models and data (`assurance/goals.py` says what).
`make assurance BUDGET=20` runs what is missing for 20 minutes and writes this page from the results in `assurance/results`.
*Done* is what was run; nothing is extrapolated. *Of older code* is what was run before the code changed. What is proved, tested
and assumed stands in SOUNDNESS.md.

"""


def turns(goals: Sequence[Goal], folder: Path = RESULTS) -> Iterator[tuple[Goal, str]]:
    """The missing shards, one of each goal in turn."""
    queues = [(goal, missing(goal, folder)) for goal in goals]
    while queues := [(goal, names) for goal, names in queues if names]:
        for goal, names in queues:
            yield goal, names.pop(0)


def spend(goals: Sequence[Goal], minutes: float, folder: Path = RESULTS) -> None:
    """Run missing shards until the time is over; none is begun after that."""
    end = time.monotonic() + 60 * minutes
    for goal in (g for g in goals if g.lacks):
        print(f"{goal.name} is not run: {', '.join(goal.lacks)} is not installed", file=sys.stderr)
    for goal, shard in turns([g for g in goals if not g.lacks], folder):
        if time.monotonic() > end:
            print(f"{minutes:g} minutes are over; the rest is run by the next call", file=sys.stderr)
            return
        key = key_of(goal, shard)
        outcome = goal.run(shard)
        keep(goal, shard, key, outcome, folder)
        said = f"{goal.name} {shard}: {outcome.done} done, {len(outcome.failures)} failed"
        print("\n  ".join([said, *outcome.failures[:5]]), file=sys.stderr, flush=True)


def page(goals: Sequence[Goal], folder: Path = RESULTS) -> str:
    """docs/assurance.md."""
    lines = [table(goals, folder), "", "| goal | what | figures, the largest |", "|---|---|---|"]
    for goal in goals:
        measured = ", ".join(f"{name} {value:g}" for name, value in sorted(figures(goal, folder).items()))
        lines.append(f"| {goal.name} | {goal.what} | {measured or '-'} |")
    now = [s.outcome for g in goals for s in current(g, folder).values()]
    for title, texts in (
        ("Failures", [w for o in now for w in o.failures]),
        ("Survivors", [w for o in now for w in o.notes]),
    ):
        lines += ["", f"{title}:", "", *(f"- `{text}`" for text in texts)] if texts else []
    return ABOUT + "\n".join(lines) + "\n"


def main() -> int:
    """Exit code 1 where a shard of the code as it is has failed."""
    parser = argparse.ArgumentParser(prog="assurance", description="Run what is missing, print the table.")
    parser.add_argument("--budget", type=float, default=0, metavar="MINUTES", help="0 prints the table alone")
    parser.add_argument("--goal", action="append", choices=[g.name for g in GOALS], help="these goals alone")
    given = parser.parse_args()
    chosen = [g for g in GOALS if not given.goal or g.name in given.goal]
    spend(chosen, given.budget)
    print(table(GOALS))
    PAGE.write_text(page(GOALS))
    failures = [why for g in chosen for s in current(g).values() for why in s.outcome.failures]
    return int(bool(failures))


if __name__ == "__main__":
    sys.exit(main())
