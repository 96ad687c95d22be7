"""Where a target's code leaves the oracle: the self-test once more on its board, printing every value that an op computes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np

from rnnc.backend.emit import Golden
from rnnc.backend.program import Program
from rnnc.net import Array
from rnnc.streams import stream_qnet
from rnnc.verification.boards import Board
from rnnc.verification.emulator import OPTIMIZE, selftest_output
from rnnc.verification.locate import LOOK, Difference, differs, dtype, looked_at, visible

Order = Literal["<", ">"]
"""A byte order, as NumPy writes it."""
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
    """The first value of the self-test that differs on a board, its op, step (from 1) and element; "" where none does.

    Args:
        golden: what the self-test was made of.

    Raises MissingTool, NoRoom, VerificationError as ``measure`` does.
    """
    name, values = f"{program.name}.c", visible(program)
    text = looked_at(program, files[name], values) + PRINT
    seen = _looks(selftest_output(program, {**files, name: text}, board, optimize))
    oracle, q = _values(program, golden), program.qnet
    found: list[tuple[int, int, Difference]] = []
    for number, value in enumerate(values):
        op = next(op for op in q.ops if op.name == value.op)
        form, clock = q.formats[value.value], q.values[value.value].clock
        ticks = zip(seen.get(number, []), oracle.get(value.value, []), strict=False)
        for tick, ((order, data), right) in enumerate(ticks):
            c = np.frombuffer(data, dtype(form).newbyteorder(order))
            if wrong := differs(op, f"value {value.value!r}", c, right):
                found.append((clock.phase + tick * clock.rate + 1, number, wrong))
                break
    step, _, first = min(found, key=lambda f: f[:2], default=(0, 0, None))
    return f"{first}, step {step} of the self-test" if first else ""


def _looks(text: str) -> dict[int, list[tuple[Order, bytes]]]:
    """What was printed, by number: the byte order and the bytes of each tick."""
    found: dict[int, list[tuple[Order, bytes]]] = {}
    for words in (line.split() for line in text.splitlines() if line.startswith("look ")):
        order, number, data = (bytes.fromhex(word) for word in words[1:])
        little = order[0] == 1
        k = int.from_bytes(number, "little" if little else "big")
        found.setdefault(k, []).append(("<" if little else ">", data))
    return found


def _values(program: Program, golden: Golden) -> dict[str, list[Array]]:
    """What the oracle computes over the self-test's input: every tick of every value."""
    values: dict[str, list[Array]] = {}
    stream = stream_qnet(program.qnet, 1, lambda name, ticks: values.setdefault(name, []).extend(ticks[:, 0]))
    stream.advance({name: np.asarray(x)[:, None] for name, x in golden.inputs.items()})
    stream.drain()
    return values
