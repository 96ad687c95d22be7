"""Kernel calls become C functions in which bits, strides and counts are constants; calls that are alike share one.

Kernels that runtime_c declares RNNC_KERNEL become part of their caller, and what it knows of the parameters folds into the
code. Two calls of the same shape need that code once: arrays, and numbers of 32 bits that differ, come from each call's own
parameters. The functions are apart from the step: registers hold what one kernel needs, not addresses of all.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import replace

from rnnc.backend.program import Call, ConstantArray, Copy, FoldedKernel, Initializer, Params, Region
from rnnc.backend.structs import INTEGERS, field_types, folding_kernels

FEW = 3
"""A step of so many kernels has registers for all of them."""


def fold(name: str, regions: Sequence[Region]) -> tuple[tuple[Region, ...], tuple[FoldedKernel, ...]]:
    """The regions with calls of functions that are named after ``name``, and these functions.

    Of a few calls, those that are alike share one, and all other kernels become part of the step.
    """
    groups: dict[Hashable, list[Call]] = {}
    for region in regions:
        for work in region.work:
            if isinstance(work, Call) and work.params and work.function in folding_kernels():
                groups.setdefault(_shape(work.function, work.params), []).append(work)
    shared: list[FoldedKernel] = []
    symbols: dict[int, str] = {}
    few = sum(map(len, groups.values())) <= FEW
    for calls in (group for group in groups.values() if len(group) > 1 or not few):
        common = _common(f"{name}_{calls[0].function.removeprefix('rnnc_')}_{len(shared)}", calls)
        shared.append(common)
        symbols.update({id(call): common.symbol for call in calls})

    def renamed(work: Call | Copy) -> Call | Copy:
        return replace(work, function=symbols[id(work)]) if isinstance(work, Call) and id(work) in symbols else work

    return tuple(Region(r.guard, tuple(map(renamed, r.work))) for r in regions), tuple(shared)


def _shape(function: str, params: Params) -> Hashable:
    """What calls with the same code have in common: all numbers of fewer than 32 bits."""
    types = field_types(params.ctype)
    return function, tuple((n, None if _is_own(v, types.get(n, "")) else v) for n, v in params.fields)


def _is_own(value: Initializer, ctype: str) -> bool:
    """Whether a field may differ between calls that share their code: arrays, and numbers of 32 bits."""
    if isinstance(value, tuple):
        return any(isinstance(v, tuple | ConstantArray) for _, v in value)
    return isinstance(value, ConstantArray) or INTEGERS.get(ctype, ("", 0))[1] == 32


def _common(symbol: str, calls: Sequence[Call]) -> FoldedKernel:
    every = [call.params for call in calls if call.params]
    struct, parameters = folding_kernels()[calls[0].function]
    columns = zip(*(params.fields for params in every), strict=True)
    fields = tuple((column[0][0], _same([value for _, value in column])) for column in columns)
    arguments = tuple(parameter.split()[-1].lstrip("*") for parameter in parameters.split(","))
    ops = tuple(dict.fromkeys(call.op for call in calls))
    return FoldedKernel(symbol, calls[0].function, ops, struct, parameters, arguments, fields)


def _same(values: Sequence[Initializer]) -> Initializer | None:
    """The number, or struct of numbers, that all calls have; None where they differ or it is an array."""
    first = values[0]
    return first if not isinstance(first, ConstantArray) and all(v == first for v in values) else None
