"""Results of shards, kept in one file a goal: a shard counts as long as the code that it tested is what it was."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime, timezone
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "assurance" / "results"
HEADING = ("goal", "done", "wanted", "failures", "of older code", "commit", "date")


@dataclass(frozen=True)
class Outcome:
    """What a shard found: how many cases it ran, those that failed, and figures that were measured."""

    done: int
    failures: list[str] = field(default_factory=list)
    figures: dict[str, float] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    """What is listed although it is no failure."""


@dataclass(frozen=True)
class Goal:
    """Cases in shards of a few seconds to a minute.

    Args:
        shards: the name of each; it decides what the shard runs, seeds included.
        cases: of one shard.
        sources: globs of the files whose content decides whether a result still counts; "{shard}" stands for the shard's name.
        run: one shard, given its name.
        needs: programs without which no shard is run.
        content: what a shard runs on, as text, beside the sources: the C of its networks rather than all that writes C.
    """

    name: str
    what: str
    shards: Sequence[str]
    cases: int
    sources: Sequence[str]
    run: Callable[[str], Outcome]
    needs: tuple[str, ...] = ()
    content: Callable[[str], str] | None = None

    @property
    def lacks(self) -> list[str]:
        """The programs that are not installed."""
        return [program for program in self.needs if not shutil.which(program)]

    @property
    def wanted(self) -> int:
        """Cases of all shards."""
        return len(self.shards) * self.cases


@dataclass(frozen=True)
class Shard:
    """A result as it is kept."""

    shard: str
    key: str
    commit: str
    date: str
    outcome: Outcome


def key_of(goal: Goal, shard: str, root: Path = ROOT) -> str:
    """A hash of all that a shard tests."""
    found = hashlib.sha256(repr((goal.name, goal.cases)).encode())
    patterns = [pattern.replace("{shard}", shard) for pattern in goal.sources]
    for path in sorted({p for pattern in patterns for p in root.glob(pattern) if p.is_file()}):
        found.update(path.relative_to(root).as_posix().encode() + b"\0" + path.read_bytes())
    if goal.content:
        found.update(_digest(goal.content, shard))
    return found.hexdigest()[:16]


@cache
def _digest(content: Callable[[str], str], shard: str) -> bytes:
    return hashlib.sha256(content(shard).encode()).digest()


@cache
def commit() -> str:
    """The commit that is checked out, with a + where files differ from it."""
    git = ["git", "-C", str(ROOT)]
    head = subprocess.run([*git, "rev-parse", "--short=10", "HEAD"], capture_output=True, text=True, check=False)
    changes = [*git, "status", "--porcelain", "--", ".", ":!assurance/results", ":!docs/assurance.md"]
    changed = subprocess.run(changes, capture_output=True, text=True, check=False)
    return head.stdout.strip() + "+" * bool(changed.stdout.strip()) or "unknown"


def read(goal: Goal, folder: Path = RESULTS) -> dict[str, Shard]:
    """The kept results of a goal, by shard."""
    path = folder / f"{goal.name}.json"
    if not path.exists():
        return {}
    return {s["shard"]: Shard(**{**s, "outcome": Outcome(**s["outcome"])}) for s in json.loads(path.read_text())}


def keep(goal: Goal, shard: str, key: str, outcome: Outcome, folder: Path = RESULTS) -> None:
    """Add a result, in place of an older one of the shard."""
    results = read(goal, folder)
    date = datetime.now(timezone.utc).strftime("%Y-%m-%d")
    results[shard] = Shard(shard, key, commit(), date, outcome)
    folder.mkdir(exist_ok=True)
    lines = [json.dumps(asdict(results[name])) for name in goal.shards if name in results]
    (folder / f"{goal.name}.json").write_text("[\n" + ",\n".join(lines) + "\n]\n")


def missing(goal: Goal, folder: Path = RESULTS, root: Path = ROOT) -> list[str]:
    """The shards that have no result of the code as it is."""
    run = current(goal, folder, root)
    return [name for name in goal.shards if name not in run]


def current(goal: Goal, folder: Path = RESULTS, root: Path = ROOT) -> dict[str, Shard]:
    """The results of the code as it is, by shard."""
    results = {name: found for name, found in read(goal, folder).items() if name in goal.shards}
    if goal.content or any("{shard}" in pattern for pattern in goal.sources):
        return {name: found for name, found in results.items() if found.key == key_of(goal, name, root)}
    key = key_of(goal, "", root)
    return {name: found for name, found in results.items() if found.key == key}


def row(goal: Goal, folder: Path = RESULTS) -> tuple[str, ...]:
    """What the table says of a goal: only what was run."""
    run = current(goal, folder)
    now = list(run.values())
    older = [s for s in read(goal, folder).values() if s.shard in goal.shards and s.shard not in run]
    commits = sorted({s.commit for s in now})
    numbers = (_cases(now), goal.wanted, sum(len(s.outcome.failures) for s in now), _cases(older))
    at = commits[0] if len(commits) == 1 else f"{len(commits)} commits" if commits else "-"
    return (goal.name, *map(str, numbers), at, max((s.date for s in now), default="-"))


def _cases(shards: Iterable[Shard]) -> int:
    return sum(s.outcome.done for s in shards)


def figures(goal: Goal, folder: Path = RESULTS) -> dict[str, float]:
    """The largest of each figure over the results of the code as it is."""
    found = dict[str, float]()
    for shard in current(goal, folder).values():
        for name, value in shard.outcome.figures.items():
            found[name] = max(value, found.get(name, value))
    return found


def table(goals: Sequence[Goal], folder: Path = RESULTS) -> str:
    """The goals as a table of Markdown."""
    rows = [HEADING, *(row(g, folder) for g in goals)]
    widths = [max(len(r[k]) for r in rows) for k in range(len(HEADING))]
    lines = ["| " + " | ".join(cell.ljust(w) for cell, w in zip(r, widths, strict=True)) + " |" for r in rows]
    return "\n".join([lines[0], "|" + "|".join("-" * (w + 2) for w in widths) + "|", *lines[1:]])
