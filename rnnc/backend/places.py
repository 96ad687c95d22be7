"""What the arguments of a kernel call are, as values: places in memory and constants. ``backend.emit`` spells them in C."""

from __future__ import annotations

from dataclasses import dataclass

from rnnc.backend.guards import Guard


@dataclass(frozen=True)
class StatePlace:
    """The member ``c_name`` of the struct that holds the states."""

    c_name: str

    def __str__(self) -> str:
        return self.c_name


@dataclass(frozen=True)
class PoolPlace:
    """What begins at element ``offset`` of a work array (memory.WORK_TYPE), elements of ``ctype``."""

    array: str
    offset: int
    ctype: str

    def __str__(self) -> str:
        return f"{self.array}[{self.offset}...] as {self.ctype}"


@dataclass(frozen=True)
class PortPlace:
    """The array that the caller gives for the port ``c_name``."""

    c_name: str

    def __str__(self) -> str:
        return self.c_name


Place = StatePlace | PoolPlace | PortPlace


@dataclass(frozen=True)
class Literal:
    """An integer; 0 is the null pointer where a pointer is expected."""

    value: int

    def __str__(self) -> str:
        return str(self.value)


@dataclass(frozen=True)
class ActivationCode:
    """The number that runtime_c/lut.h gives to an activation: "tanh", "relu", "sigmoid"."""

    activation: str

    def __str__(self) -> str:
        return self.activation


@dataclass(frozen=True)
class Guarded:
    """``place`` while ``guard`` is true, the null pointer else."""

    place: Place
    guard: Guard

    def __str__(self) -> str:
        return f"{self.place} if {self.guard}"


@dataclass(frozen=True)
class Strided:
    """``place``, which moves on by ``strides`` elements at each turn of the loops around the call."""

    place: Place
    strides: tuple[int, ...]

    def __str__(self) -> str:
        return f"{self.place} + {self.strides} a turn"


Argument = Place | Guarded | Strided | Literal | ActivationCode


def place_of(argument: Argument) -> Place | None:
    """The memory that an argument points into."""
    if isinstance(argument, Guarded | Strided):
        return argument.place
    return None if isinstance(argument, Literal | ActivationCode) else argument
