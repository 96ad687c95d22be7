"""What a notebook shows of an object: its text, which says more than the names of its fields."""

from __future__ import annotations

from html import escape


class NotebookText:
    """An object that is shown as what ``str`` makes of it."""

    def __repr__(self) -> str:
        return str(self)

    def _repr_html_(self) -> str:
        return f"<pre>{escape(str(self))}</pre>"
