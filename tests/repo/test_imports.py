"""Imports stand at the top of a file, but for those that keep the command line quick: by rule, not by name."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

from tests.repo.test_layering import HOMES, imported, python_files

QUICK = ("rnnc/cli/", "rnnc/__init__.py", "rnnc/__main__.py")
"""Where a function imports what its command needs, so that others start without it."""
LARGE = tuple(name for name in HOMES if name not in sys.stdlib_module_names)
"""Libraries that take long to import: functions import them, wherever they are allowed."""
NOT_EVERYWHERE = ("fcntl", "termios", "tty")
"""Modules of Python that Windows lacks: functions that say so import them."""
MUTUAL = {("rnnc/ops/time_shift.py", "rnnc.ops.conv")}
"""Ops that take each other in, or become each other; no others may."""


def late(tree: ast.Module) -> set[str]:
    """Modules that functions import."""
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]
    return {module for function in functions for module in imported(function)}


def test_functions_import_only_what_keeps_the_command_line_quick() -> None:
    found = []
    for file, tree in python_files("rnnc").items():
        if file.startswith(QUICK):
            continue
        for module in late(tree):
            mutual = any(file == here and module.startswith(there) for here, there in MUTUAL)
            if module.split(".")[0] not in (*LARGE, *NOT_EVERYWHERE) and not mutual:
                found.append(f"{file} imports {module} in a function")
    assert not found


def test_nothing_imports_at_the_top_what_windows_lacks() -> None:
    trees = python_files("rnnc").items()
    found = [file for file, tree in trees if set(imported(tree, inside=False)) & set(NOT_EVERYWHERE)]
    assert not found


def test_the_command_line_starts_without_large_libraries() -> None:
    """What --help and completion wait for."""
    listed = f"[m for m in ('numpy', *{LARGE!r}) if m in sys.modules and m not in ('typer', 'rich')]"
    script = f"import sys; import rnnc.cli; print({listed})"
    root = Path(__file__).parents[2]
    done = subprocess.run([sys.executable, "-c", script], cwd=root, check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "[]"
