"""What an AVR's assembly tells of stack: frames with their return addresses, pushes behind the prologue, calls and jumps."""

from __future__ import annotations

import pytest

from rnnc.verification.avr_frames import frames_and_calls


def function(name: str, prologue: str, size: int, *body: str) -> str:
    lines = "".join(f"\t{line}\n" for line in body)
    return (
        f"\t.type\t{name}, @function\n{name}:\n/* prologue: {prologue} */\n/* frame size = 0 */\n"
        f"/* stack size = {size} */\n{lines}\tret\n\t.size\t{name}, .-{name}\n"
    )


def test_frames_and_calls() -> None:
    text = (
        function("rows", "naked", 0, "push r2", "push r3", "rjmp 4f", "pop r3")
        + function("part", "function", 4, "push r14", "call rows", "push r14", "rcall .", "call other", "rjmp .L3")
        + function("net_step", "function", 91, "rcall part", "jmp memcpy")
    )
    frames, calls = frames_and_calls(text)
    assert frames == {"rows": 4, "part": 9, "net_step": 93}
    assert calls == {"rows": set(), "part": {"rows", "other"}, "net_step": {"part", "memcpy"}}


def test_a_call_through_a_pointer_has_no_bound() -> None:
    with pytest.raises(ValueError, match="net_step calls through a pointer"):
        frames_and_calls(function("net_step", "function", 2, "icall"))
