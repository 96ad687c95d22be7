"""Errors that a user can meet, with the exit code of each.

RnncError
+-- VerificationError   1   the C differs from the oracle, an error is above its limit, the verdict is poor
+-- BudgetError         1   flash, RAM or stack above --max-...
+-- NoRoom              1   a program that is larger than the memory of the part it is to run on
+-- UsageError          2   options that do not fit together, an unknown name
+-- ModelError          3
|   +-- UnreadableModel 3   not an ONNX file, damaged, or unsafe to load
|   +-- Refused         3   a valid model that cannot be compiled
+-- DataError           4   calibration or input data that does not fit the model
+-- MissingTool         5   a compiler or emulator that is not installed
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from rnnc.flags import in_python

if TYPE_CHECKING:
    from rnnc.package import Package


class RnncError(Exception):
    """An error to show to the user: where it is, what is wrong, and what to do about it.

    ``what`` and ``hint`` name options as the shell does (``--window T``); as a string it is for Python (``window=T``).
    """

    exit_code = 1

    def __init__(self, what: str, *, where: str = "", hint: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.where = where
        self.hint = hint

    def __str__(self) -> str:
        head = f"{self.where}: {self.what}" if self.where else self.what
        return in_python(f"{head}\n  {self.hint}" if self.hint else head)


class VerificationError(RnncError):
    """What was generated is not what was promised.

    ``package`` holds what was generated, where all of it was.
    """

    package: Package | None = None


class BudgetError(RnncError):
    """The result is larger than the user allows."""


class NoRoom(RnncError):
    """The program is larger than the memory of the part that it is to run on."""


class UsageError(RnncError):
    """The command or call makes no sense."""

    exit_code = 2


class ModelError(RnncError):
    """The model file is the problem."""

    exit_code = 3


class UnreadableModel(ModelError):
    """The file is not a model that can be read safely."""


class Refused(ModelError):
    """The model is valid and rnnc cannot compile it, for the reason given."""


class DataError(RnncError):
    """The data does not fit the model."""

    exit_code = 4


class MissingTool(RnncError):
    """A program that is needed is not installed."""

    exit_code = 5
