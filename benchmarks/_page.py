"""Tables of docs/numerics.md that a benchmark writes: each stands between two comments that name the script."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

PAGE = Path(__file__).resolve().parent.parent / "docs" / "numerics.md"


def markdown(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table."""
    lines = [f"| {' | '.join(cells)} |" for cells in (heads, *rows)]
    return "\n".join([lines[0], "|---" * len(heads) + "|", *lines[1:]]) + "\n"


def put(name: str, table: str) -> None:
    """Write a table into the page, in place of the one of that name."""
    text = PAGE.read_text()
    begin, end = f"<!-- written by benchmarks/{name} -->\n", f"<!-- end of benchmarks/{name} -->"
    between = re.compile(f"(?<={re.escape(begin)}).*?(?={re.escape(end)})", re.DOTALL)
    if not between.search(text):
        raise SystemExit(f"{PAGE} has no place for {name}")
    PAGE.write_text(between.sub(lambda _: table, text))
