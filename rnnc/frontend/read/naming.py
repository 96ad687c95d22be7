"""What the names of inputs and outputs say about state."""

from __future__ import annotations

import re

BEFORE = {"prev", "previous", "last", "past", "old", "init", "initial", "cur", "current"}
AFTER = {"next", "new", "updated"}
MARKERS = (BEFORE | AFTER) | {"in", "out", "input", "output", "identity", "final", "present", "t", "tm"}
"""Words that tell one end of a loop from the other. An input that is called no state must have one that says before:
audio_in and audio_out are no loop, nor are x and next_x."""
STATE_WORDS = {
    *("h", "c", "s", "hx", "cx", "hn", "cn", "hidden", "cell", "state", "states", "rnn", "gru", "lstm", "recurrent"),
    *(
        "memory",
        "mem",
        "carry",
        "context",
        "ctx",
        "cache",
        "caches",
        "buffer",
        "buf",
        "ring",
        "fifo",
        "history",
        "hist",
    ),
}
NUMBERED = re.compile(r"^([a-z])(?:0|n|t|p)$")


def related(name: str, other: str) -> bool:
    """Whether the names of an input and an output are those of a state before and after a step."""
    mine, theirs = stem(name), stem(other)
    if mine and mine == theirs:
        return bool(STATE_WORDS & set(mine)) or bool(BEFORE & set(_words(name)))
    return bool(letter(name)) and letter(name) == letter(other)


def named_as_next(name: str, other: str) -> bool:
    """Whether ``other`` may be the next value of ``name``, as x_next of x: a state, or no more than a prediction."""
    return bool(stem(name)) and stem(name) == stem(other) and bool(AFTER & set(_words(other)))


def named_as_state(name: str) -> bool:
    """Whether a name says that it is a state."""
    return bool(STATE_WORDS & set(stem(name)))


def _words(name: str) -> list[str]:
    return re.findall(r"[a-z]+|\d+", re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower())


def stem(name: str) -> tuple[str, ...]:
    """A name without what tells input from output."""
    return tuple(w for w in _words(name) if w not in MARKERS)


def letter(name: str) -> tuple[str, ...]:
    """As ``stem``; h0 and hn are both h."""
    parts = [p for p in re.split(r"[^a-z0-9]+", name.lower()) if p and p not in MARKERS]
    return tuple(NUMBERED.sub(r"\1", p) for p in parts if p not in ("0", "n"))
