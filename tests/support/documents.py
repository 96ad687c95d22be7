"""The code blocks of a Markdown page: what language, what text, and whether the page says that no test runs it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

NOT_RUN = "*Not run by the tests: "
"""The paragraph before a block that is not run begins with this, for readers to see."""
FILE = re.compile(r"^(?:/\*|//|#) file: (\S+)(?: \*/)?$")


@dataclass(frozen=True)
class Block:
    """A fenced block.

    Args:
        file: the name that its first line gives it ("# file: NAME"), "" for none.
        reason: why it is not run, "" where it is.
    """

    line: int
    language: str
    text: str
    file: str
    reason: str


def blocks(page: Path) -> list[Block]:
    """All fenced blocks of a page."""
    found: list[Block] = []
    fence, start, body = "", 0, list[str]()
    before = ""
    for number, line in enumerate(page.read_text().splitlines(), 1):
        if fence:
            if line == "```":
                found.append(_block(start, fence[3:], body, before))
                fence, before = "", ""
            else:
                body.append(line)
        elif line.startswith("```"):
            fence, start, body = line, number, []
        elif line.strip():
            before = line if not before or before == " " else f"{before} {line}"
        else:
            before = f"{before} " if before.startswith("*") else ""
    assert not fence, f"{page.name}:{start}: the block does not end"
    return found


def _block(line: int, language: str, body: list[str], before: str) -> Block:
    named = FILE.match(body[0]) if body else None
    reason = before.strip()[len(NOT_RUN) :].rstrip("*") if before.strip().startswith(NOT_RUN) else ""
    return Block(line, language, "\n".join(body) + "\n", named[1] if named else "", reason)
