"""How places, guards and calls are spelled in C. In a package, s is the stream, w a window that is under way."""

from __future__ import annotations

from collections.abc import Sequence

from rnnc.backend.emit.expressions import size_of, times
from rnnc.backend.guards import Always, Both, Due, Guard, Tail
from rnnc.backend.memory import WORK_TYPE
from rnnc.backend.nests import nests
from rnnc.backend.places import ActivationCode, Argument, Guarded, Literal, Place, PoolPlace, PortPlace, Strided
from rnnc.backend.program import Call, ConstantArray, Copy, Initializer, Program, Region
from rnnc.fixed import Ints

WIDTH = 116
INDENT = "    "
BRACES = str.maketrans("[]", "{}")
TURNS = ("i", "k")
"""What counts the turns of loops around a call, the outermost first."""


def owner(program: Program) -> str:
    """The pointer to what ``members`` and ``counters`` are fields of."""
    return "w" if program.overlap else "s"


def address(program: Program, place: Place) -> str:
    """The address of a place."""
    if isinstance(place, PortPlace):
        return place.c_name
    if not isinstance(place, PoolPlace):
        return f"{owner(program)}->{place.c_name}"
    plain = f"s->{place.array}" + (f" + {place.offset}" if place.offset else "")
    if WORK_TYPE[place.array] == place.ctype:
        return plain
    return f"({place.ctype} *)({plain})" if place.offset else f"({place.ctype} *){plain}"


def place_text(program: Program, argument: Argument) -> str:
    """An argument of a call."""
    if isinstance(argument, Literal):
        return str(argument.value) if argument.value else "NULL"
    if isinstance(argument, ActivationCode):
        return f"RNNC_{argument.activation.upper()}"
    if isinstance(argument, Guarded):
        return f"{condition(argument.guard)} ? {address(program, argument.place)} : NULL"
    if isinstance(argument, Strided):
        moves = [times(i, n) for i, n in zip(TURNS, argument.strides, strict=False) if n]
        return " + ".join([address(program, argument.place), *moves])
    return address(program, argument)


def statement(program: Program, work: Call | Copy) -> str:
    """A call of a kernel, or a copy."""
    if isinstance(work, Copy):
        to, source = address(program, work.to), address(program, work.source)
        return f"rnnc_copy({to}, {source}, {size_of(work.size, work.ctype)});"
    params = [f"RNNC_PARAMS({work.params.ctype}, {work.params.symbol})"] if work.params else []
    return f"{work.function}({', '.join([*params, *(place_text(program, a) for a in work.args)])});"


def region_lines(program: Program, region: Region) -> list[str]:
    """Statements, under their guard."""
    lines = [line for nest in nests(region.work) for line in _nest_lines(program, nest)]
    if isinstance(region.guard, Always):
        return lines
    return [f"if ({condition(region.guard)} != 0) {{", *(f"    {line}" for line in lines), "}"]


def _nest_lines(program: Program, nest: Sequence[Call | Copy]) -> list[str]:
    """Statements in the loops that they have in common."""
    lines = [statement(program, work) for work in nest]
    counts = nest[0].times if isinstance(nest[0], Call) else ()
    for i, n in reversed(list(zip(TURNS, counts, strict=False))):
        head = f"for (uint16_t {i} = 0; {i} < {n}; {i}++) {{"
        lines = [head, *(f"    {line}" for line in lines), "}"]
    return lines


def initializer(value: Initializer) -> str:
    """What a field of a parameter struct is initialised with."""
    if isinstance(value, ConstantArray):
        return value.symbol
    if isinstance(value, int):
        return str(value)
    return "{" + ", ".join(f".{name} = {initializer(v)}" for name, v in value) + "}"


def listed(array: Ints) -> str:
    """The elements of an array, or its rows in braces, as ``wrapped`` takes them."""
    return str(array.tolist())[1:-1].translate(BRACES)


def wrapped(elements: str) -> str:
    """Elements of an array with ", " between them as indented lines, each as long as WIDTH allows; there may be millions."""
    text, most = elements or "0", WIDTH - len(INDENT)
    lines, first = [], 0
    while len(text) - first > most:
        last = text.rfind(" ", first, first + most + 1)
        last = text.find(" ", first) if last < 0 else last
        if last < 0:
            break
        lines.append(INDENT + text[first:last])
        first = last + 1
    return "\n".join([*lines, INDENT + text[first:]])


# --------------------------------------------------------------------------- guards


def condition(guard: Guard) -> str:
    """An expression that is not 0 where a guard is true."""
    return "1" if isinstance(guard, Always) else guard.c_name


def wrote(program: Program) -> str:
    """Whether a step wrote the outputs, a bit for each where they are not all written at the same steps."""
    flags = [condition(g) for g in program.wrote]
    if len(flags) == 1:
        return flags[0]
    return " | ".join(f"({flag} ? {1 << i} : 0)" for i, flag in enumerate(flags))


def guard_lines(program: Program) -> list[str]:
    """Declarations of the guards; counters of clocks come down by one, or start again."""
    at = owner(program)
    dues = [g for g in program.guards if isinstance(g, Due)]
    lines = [f"const int {g.c_name} = {at}->{g.counter.c_name} == 0;" for g in dues]
    for g in dues:
        count = f"{at}->{g.counter.c_name}"
        lines.append(f"{count} = (uint16_t)({g.c_name} ? {g.rate - 1} : {count} - 1);")
    combined = [g for g in program.guards if not isinstance(g, Due)]
    return lines + [f"const int {g.c_name} = {_combined(g, at)};" for g in combined]


def _combined(guard: Tail | Both, at: str) -> str:
    if isinstance(guard, Both):
        return f"{condition(guard.tick)} && {condition(guard.due)}"
    left = f"rnnc_count_down(&{at}->{guard.counter.c_name})"
    tail = f"({condition(guard.due)} && {left})" if guard.due else left
    return f"{condition(guard.source)} || {tail}"
