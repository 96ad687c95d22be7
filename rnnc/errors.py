"""Errors that a user can see, with their exit codes.

RnncError
+-- VerificationError   1   the C differs from the oracle, an error is above its limit, the verdict is poor
+-- BudgetError         1   flash, RAM or stack above --max-...
+-- NoRoom              1   a program larger than the memory of the part that runs it
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
    """An error for the user: where it is, what is wrong, and what to do about it.

    ``what`` and ``hint`` name options as the shell does (``--window T``); ``str`` gives them for Python (``window=T``).
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
    """The result fails its verification.

    ``package`` holds the generated package, if it is complete.
    """

    package: Package | None = None


class BudgetError(RnncError):
    """The result exceeds a limit of the user."""


class NoRoom(RnncError):
    """The program is larger than the memory of the part that runs it."""


class UsageError(RnncError):
    """The command or call is invalid."""

    exit_code = 2


class ModelError(RnncError):
    """The model file is the problem."""

    exit_code = 3


class UnreadableModel(ModelError):
    """The file cannot be read safely as a model."""


class Refused(ModelError):
    """The model is valid, but rnnc cannot compile it for the given reason.

    ``windowed`` is what to advise instead of ``hint`` if the same model compiles with --window T, and ``steps`` is that T.
    """

    def __init__(self, what: str, *, where: str = "", hint: str = "", windowed: str = "", steps: int = 0) -> None:
        super().__init__(what, where=where, hint=hint)
        self.windowed, self.steps = windowed, steps


class DataError(RnncError):
    """The data does not fit the model."""

    exit_code = 4


class MissingTool(RnncError):
    """A required program is not installed."""

    exit_code = 5
