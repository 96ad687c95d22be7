"""Values that a shell completes, looked up when it asks."""

from __future__ import annotations


def targets(incomplete: str) -> list[str]:
    """What --target takes."""
    from rnnc.backend.parts import PARTS
    from rnnc.backend.targets import NAMES

    return [name for name in (*NAMES, *PARTS) if name.startswith(incomplete)]


def precisions(incomplete: str) -> list[str]:
    """What --precision takes."""
    from typing import get_args

    from rnnc.options import Precision

    return [name for name in get_args(Precision) if name.startswith(incomplete)]


def weights(incomplete: str) -> list[str]:
    """What --weights takes."""
    from typing import get_args

    from rnnc.options import Weights

    return [name for name in get_args(Weights) if name.startswith(incomplete)]


def engines(incomplete: str) -> list[str]:
    """What --engine takes."""
    from typing import get_args

    from rnnc.verification.engines import Engine

    return [name for name in get_args(Engine) if name.startswith(incomplete)]


def stages(incomplete: str) -> list[str]:
    """What --after takes."""
    from rnnc.compiler import STAGES

    return [name for name in STAGES[:-1] if name.startswith(incomplete)]


def levels(incomplete: str) -> list[str]:
    """What --optimize takes."""
    from rnnc.verification.levels import LEVELS

    return [name for name in LEVELS if name.startswith(incomplete)]


def cores(incomplete: str) -> list[str]:
    """What --core takes."""
    from rnnc.verification.rtl import CORES

    return [name for name in CORES if name.startswith(incomplete)]
