"""C identifiers from whatever a model calls its tensors. No string of a model reaches the C but through here."""

from __future__ import annotations

import re

KEYWORDS = frozenset(
    """alignas alignof and and_eq asm auto bitand bitor bool break case catch char class compl const constexpr const_cast
    continue decltype default delete do double dynamic_cast else enum explicit export extern false float for friend goto if
    inline int long mutable namespace new noexcept not not_eq nullptr operator or or_eq private protected public register
    reinterpret_cast restrict return short signed sizeof static static_assert static_cast struct switch template this
    thread_local throw true try typedef typeid typename typeof union unsigned using virtual void volatile wchar_t while xor
    xor_eq""".split()
)
NOT_A_PREFIX = frozenset(
    """int8 int16 int32 int64 uint8 uint16 uint32 uint64 intptr uintptr intmax uintmax size ssize ptrdiff wchar max_align
    char8 char16 char32 time clock rnnc int_least8 int_fast8 main std linux unix arduino assert complex ctype errno fenv float
    inttypes iso646 limits locale math setjmp signal stdalign stdarg stdatomic stdbool stddef stdint stdio stdlib stdnoreturn
    string tgmath threads uchar wchar wctype""".split()
)
"""Names whose NAME_t, NAME.h or NAME_... means something already."""


def identifier(text: str) -> str:
    """``text`` with every run of other characters as one underscore; begins with a letter; at most 40 characters."""
    plain = re.sub(r"[^A-Za-z0-9]+", "_", text).strip("_")[:40].rstrip("_")
    return plain if plain and plain[0].isalpha() else f"n{plain}"


def prefix(text: str) -> str:
    """The prefix of a whole package: an identifier that collides with no keyword, type or header of C."""
    name = identifier(text).lower()
    return f"{name}_net" if name in NOT_A_PREFIX or name in KEYWORDS else name


class Namer:
    """Gives each thing a name of its own, whatever the case: collisions are numbered."""

    def __init__(self, reserved: frozenset[str] = frozenset()) -> None:
        self._taken = {name.lower() for name in KEYWORDS | reserved}

    def name(self, text: str) -> str:
        """An identifier made of ``text`` that was not given before."""
        base = identifier(text)
        name, k = base, 2
        while name.lower() in self._taken:
            name, k = f"{base}_{k}", k + 1
        self._taken.add(name.lower())
        return name
