"""Frames and calls of AVR functions, from the assembly: avr-gcc writes no call graph, and tells nothing of inline assembly."""

from __future__ import annotations

import re

RETURN_ADDRESS = 2
FUNCTION = re.compile(r"^\t\.type\t(\S+), @function\n(.*?)^\t\.size\t\1,", re.MULTILINE | re.DOTALL)
PROLOGUE = re.compile(r"/\* stack size = (\d+) \*/")
"""What the compiler writes behind the instructions that save registers and make a frame; 0 where a function is naked."""
INSTRUCTION = re.compile(r"^\s*(push|r?call|r?jmp|e?icall)\b\s*([\w.$]*)", re.MULTILINE)


def frames_and_calls(assembly: str) -> tuple[dict[str, int], dict[str, set[str]]]:
    """Bytes of stack of each function, its return address included, and the functions that each calls or jumps to.

    What is pushed behind the prologue is added: all of it in a naked function, elsewhere what is pushed for one call.

    Raises ValueError where a function calls through a pointer, so that nobody knows what it calls.
    """
    frames, calls = dict[str, int](), dict[str, set[str]]()
    for name, body in FUNCTION.findall(assembly):
        made = PROLOGUE.search(body)
        size, rest = (int(made[1]), body[made.end() :]) if made else (0, body)
        naked, pushed, most = "prologue: naked" in body, 0, 0
        calls[name] = set()
        for word, target in INSTRUCTION.findall(rest):
            if word.endswith("icall"):
                raise ValueError(f"{name} calls through a pointer")
            if word == "push" or target == ".":
                pushed += 1 if word == "push" else RETURN_ADDRESS
                most = max(most, pushed)
            elif not target.startswith((".L", *"0123456789")) and target != name:
                calls[name].add(target)
                pushed = pushed if naked else 0
        frames[name] = size + most + RETURN_ADDRESS
    return frames, calls
