"""Where a command's words go: results to stdout, or one JSON object there; notes, progress and errors to stderr."""

from __future__ import annotations

import json
import re
import shutil
import sys
import textwrap
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TextIO

from rnnc.interruption import cleaned
from rnnc.options import ProgressCallback, no_progress

if TYPE_CHECKING:
    from rnnc.compiler import StageCallback

DOING = {
    "load": "reading the model",
    "stream": "turning it into a step",
    "calibrate": "observing ranges",
    "quantize": "quantizing",
    "certify": "bounding every accumulator",
    "lower": "laying out memory",
    "emit": "comparing with onnxruntime",
    "verify": "building and running the C",
}
"""What is going on until a stage is done."""
COMMANDS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069]")
"""Characters that move a terminal's cursor, colour it, or turn its text around: all controls but a line's end and a tab."""


def show(text: str, stream: TextIO | None = None, *, flush: bool = False) -> None:
    """Print text on stdout, or on a stream; what names of a model could tell the terminal is written out (``\\x1b``)."""
    plain = COMMANDS.sub(lambda found: ascii(found[0])[1:-1], text)
    print(plain, file=stream, flush=flush)


class CommandOutput:
    """A command's stdout and stderr.

    Args:
        as_json: stdout carries exactly one JSON object.
    """

    def __init__(self, as_json: bool) -> None:
        self.as_json = as_json
        self.context: dict[str, Any] = {}
        """What the object of an error says besides."""
        self._answered = False

    def note(self, text: str) -> None:
        """Something worth knowing."""
        _say(f"rnnc: {text}")

    def warn(self, text: str) -> None:
        """Something that makes the result worse than it could be."""
        _say(f"rnnc: warning: {text}")

    def error(self, what: str, hint: str, code: int) -> None:
        """Why there is no result. With --json the object on stdout says so too, unless there is one already."""
        _say(f"rnnc: error: {what}")
        if hint:
            _say(f"  {hint}")
        if self.as_json:
            self.json({"error": {"message": what, "hint": hint or None, "exit_code": code}, **self.context})

    def json(self, content: Mapping[str, Any]) -> None:
        """The answer as JSON, once."""
        if not self._answered:
            print(json.dumps(content, indent=1, allow_nan=False), flush=True)
        self._answered = True

    def answer(self, content: Mapping[str, Any], text: str) -> None:
        """The answer: ``content`` with --json, else ``text``."""
        if self.as_json:
            self.json(content)
        else:
            show(text)

    @contextmanager
    def progress(self, doing: str = "") -> Iterator[tuple[StageCallback, ProgressCallback]]:
        """Show what is going on, on a terminal; gives what to call after each stage, and within a long one."""
        if not sys.stderr.isatty():
            yield lambda _, __: None, no_progress
            return
        from rich.console import Console
        from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeRemainingColumn

        names = list(DOING)
        columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn())
        with Progress(*columns, console=Console(stderr=True), transient=True) as bars, cleaned(bars.stop):
            task = bars.add_task(doing or DOING[names[0]], total=None)

            def done(stage: str, _: object) -> None:
                nonlocal task
                following = names.index(stage) + 1
                if following < len(names):
                    bars.remove_task(task)
                    task = bars.add_task(DOING[names[following]], total=None)

            def progress(count: int, total: int) -> None:
                bars.update(task, completed=count, total=total)

            yield done, progress


def _say(text: str) -> None:
    """A line on stderr; on a terminal it is folded between words, for scripts it stays a line."""
    if sys.stderr.isatty():
        width = shutil.get_terminal_size().columns
        text = textwrap.fill(text, width, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False)
    show(text, sys.stderr)
