"""Where a target's code leaves the oracle: the self-test once more on its board, printing every value that an op computes and,
after each step, every state."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from rnnc.backend.emit import Golden
from rnnc.backend.program import Program
from rnnc.verification.boards import Board
from rnnc.verification.emulator import OPTIMIZE, selftest_output
from rnnc.verification.locate import LOOK, OracleTrace, Order, looked_at, visible

PRINT = f"""
void board_print(const char *text);

static void print_bytes(const uint8_t *p, size_t n)
{{
    static const char digits[] = "0123456789abcdef";
    char text[3];
    text[2] = 0;
    while (n--) {{
        text[0] = digits[*p >> 4];
        text[1] = digits[*p++ & 15];
        board_print(text);
    }}
}}

/* "look ORDER NUMBER BYTES": what a 1 of 16 bits looks like, and the rest as it lies in memory. */
void {LOOK}(int32_t k, const void *p, size_t n)
{{
    const uint16_t one = 1;
    board_print("look ");
    print_bytes((const uint8_t *)&one, sizeof one);
    board_print(" ");
    print_bytes((const uint8_t *)&k, sizeof k);
    board_print(" ");
    print_bytes((const uint8_t *)p, n);
    board_print("\\n");
}}
"""


def locate_on_board(
    program: Program, files: Mapping[str, str], golden: Golden, board: Board, optimize: Sequence[str] = OPTIMIZE
) -> str:
    """The first value or state of the self-test that differs on a board, its op, step (from 1) and element; "" where none does.

    Args:
        golden: what the self-test was made of.

    Raises MissingTool, NoRoom, VerificationError as ``measure`` does.
    """
    name, values = f"{program.name}.c", visible(program)
    text = looked_at(program, files[name], values) + PRINT
    order, steps = _looks(selftest_output(program, {**files, name: text}, board, optimize))
    oracle = OracleTrace(program)
    for t, seen in enumerate(steps):
        if t < len(next(iter(golden.inputs.values()))):
            oracle.step({n: np.asarray(x)[t : t + 1, None] for n, x in golden.inputs.items()})
            when = f"step {t + 1} of the self-test"
        else:
            oracle.drain()
            when = "after the last step of the self-test"
        if found := oracle.first(seen, order):
            return f"{found}, {when}"
    return ""


def _looks(text: str) -> tuple[Order, list[dict[int, list[bytes]]]]:
    """What was printed: the byte order, and of each step what ``_Trace.step`` gives; what comes after the last, too."""
    order: Order = "<"
    steps: list[dict[int, list[bytes]]] = [{}]
    for words in (line.split() for line in text.splitlines() if line.startswith("look ")):
        one, number, *data = (bytes.fromhex(word) for word in words[1:])
        order = "<" if one[0] == 1 else ">"
        if not data:  # the look at nothing behind a step
            steps.append({})
            continue
        steps[-1].setdefault(int.from_bytes(number, "little" if order == "<" else "big"), []).append(data[0])
    return order, steps
