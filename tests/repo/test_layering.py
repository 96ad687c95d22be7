"""The code keeps its shape: imports go one way, libraries stay in their packages, files and functions stay short."""

from __future__ import annotations

import ast
import re
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
from onnx import defs

import rnnc.ops  # noqa: F401  registers the handlers
from rnnc.tracing import HANDLERS

ROOT = Path(__file__).parents[2]

LAYERS = (
    "ctrl_c",
    "flags interruption",
    "errors",
    "fixed wav files notebook",
    "clock row_forms rows functions interval",
    "pace",
    "activations net",
    "language",
    "readings",
    "ctext",
    "loop_text unit_kernels",
    "qnet options order",
    "streams tracing data",
    "views lines",
    "ops",
    "frontend quantization backend",
    "verification",
    "report",
    "package",
    "judging compiler evaluation exporting",
    "linking several",
    "tuning demo",
    "cli",
    "__main__",
)
"""Modules and packages of rnnc, lowest first; names on one line do not import each other."""

ROOMS = ("read", "rewrite", "recurrence", "stream")
"""The packages of rnnc.frontend: none imports one after it."""

HOMES = {
    "onnx": ("frontend.read",),
    "onnxslim": ("frontend.read",),
    "onnxruntime": ("frontend.read", "verification"),
    "jinja2": ("backend.emit", "report.page"),
    "subprocess": ("verification",),
    "matplotlib": ("report.plot", "cli.tune"),
    "typer": ("cli",),
    "rich": ("cli", "report.terminal"),
}
"""The only parts of rnnc that import a library."""
PYTHON_LINES, C_LINES, FUNCTION_LINES = 400, 400, 60


@cache
def tracked() -> tuple[str, ...]:
    """Every file of the project, by its path from the root; those that are still to be committed, too."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, check=False, capture_output=True, text=True)
    if listed.returncode:
        pytest.skip("this is no git checkout: what belongs to the project is not known")
    return tuple(f for f in listed.stdout.split("\0") if f and (ROOT / f).is_file())


def python_files(folder: str) -> dict[str, ast.Module]:
    """The files of a folder, parsed, by their path from the root."""
    return {f: ast.parse((ROOT / f).read_text()) for f in tracked() if f.startswith(f"{folder}/") and f.endswith(".py")}


def module_of(path: str) -> str:
    """The dotted name of a file."""
    return path[:-3].replace("/", ".").removesuffix(".__init__")


def _for_types_only(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"


def imported(tree: ast.AST, inside: bool = True) -> Iterator[str]:
    """Modules that code imports when it runs; ``inside``: those that functions import, too. ``a.b`` may be b of module a."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0 and node.module, "imports are absolute"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif not _for_types_only(node) and (inside or not isinstance(node, (ast.FunctionDef, ast.Lambda))):
            yield from imported(node, inside)


def _part(module: str) -> str:
    """ "ops" of "rnnc.ops.lstm"; "" of what the package rnnc itself offers."""
    parts = module.split(".")
    return parts[1] if len(parts) > 1 and parts[1] in " ".join(LAYERS).split() else ""


def test_every_module_has_its_layer() -> None:
    parts = {module_of(f).split(".")[1] for f in python_files("rnnc") if f != "rnnc/__init__.py"}
    assert parts == set(" ".join(LAYERS).split())


def test_imports_go_one_way() -> None:
    rank = {part: level for level, parts in enumerate(LAYERS) for part in parts.split()}
    upward = []
    for file, tree in python_files("rnnc").items():
        own = _part(module_of(file))
        for module in imported(tree):
            other = _part(module) if module.split(".")[0] == "rnnc" else ""
            if own and other and other != own and rank[other] >= rank[own]:
                upward.append(f"{file} imports {module}")
    assert not upward


def test_the_rooms_of_the_front_end_import_one_way() -> None:
    upward = []
    for file, tree in python_files("rnnc/frontend").items():
        own = module_of(file).split(".")[2:3]
        for module in imported(tree):
            other = module.split(".")[2:3] if module.startswith("rnnc.frontend.") else []
            if own and other and ROOMS.index(other[0]) > ROOMS.index(own[0]):
                upward.append(f"{file} imports {module}")
    assert not upward


def test_no_module_imports_itself_in_a_circle() -> None:
    """At the start: what functions import when they run may, inside of a package."""
    trees = python_files("rnnc")
    modules = {module_of(f) for f in trees}
    edges = {
        module_of(f): {m if m in modules else m.rpartition(".")[0] for m in imported(tree, inside=False)} & modules
        for f, tree in trees.items()
    }
    while leaves := {m for m, others in edges.items() if not (others - {m, "rnnc"}) & edges.keys()}:
        edges = {m: others for m, others in edges.items() if m not in leaves}
    assert not edges


def test_libraries_stay_in_their_packages() -> None:
    strays = []
    for file, tree in python_files("rnnc").items():
        home = module_of(file).removeprefix("rnnc.")
        for module in imported(tree):
            allowed = HOMES.get(module.split(".")[0])
            if allowed and not any(home == a or home.startswith(f"{a}.") for a in allowed):
                strays.append(f"{file} imports {module}")
    assert not strays


C_TEXT = re.compile(r"->|RNNC_|\bsizeof\(|\bmem(cpy|set)\(|\breturn\b.*;|\w \*\)|\w\(\w*$")


def test_c_is_written_by_emit_alone() -> None:
    """The rest of the back end holds values: no string in it is a piece of C, and none is searched for one."""
    found = []
    for file, tree in python_files("rnnc/backend").items():
        if file.startswith("rnnc/backend/emit/"):
            continue
        documented = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
        constants = [n for n in ast.walk(tree) if isinstance(n, ast.Constant) and id(n) not in documented]
        strings = [(n.lineno, n.value) for n in constants if isinstance(n.value, str)]
        found += [f"{file}:{line}" for line, text in strings if C_TEXT.search(text)]
    assert not found


def test_python_files_and_functions_are_short() -> None:
    long = []
    for folder in ("rnnc", "tests", "examples", "benchmarks", "tools"):
        for file, tree in python_files(folder).items():
            lines = len((ROOT / file).read_text().splitlines())
            long += [f"{file}: {lines} lines"] if lines > PYTHON_LINES else []
            for node in ast.walk(tree):
                if isinstance(node, ast.FunctionDef):
                    lines = (node.end_lineno or 0) - node.lineno + 1
                    long += [f"{file}: {node.name} has {lines} lines"] if lines > FUNCTION_LINES else []
    assert not long


def test_c_files_and_functions_are_short() -> None:
    """A function of C begins and ends in column 0. Tables are no code."""
    long = []
    for file in tracked():
        if Path(file).suffix not in (".c", ".h") or file.endswith("_tables.h"):
            continue
        text = (ROOT / file).read_text()
        lines = len(text.splitlines())
        long += [f"{file}: {lines} lines"] if lines > C_LINES else []
        for body in re.finditer(r"^\{\n(.*?)^\}", text, re.M | re.S):
            lines = body[1].count("\n")
            where = text.count("\n", 0, body.start()) + 1
            long += [f"{file}:{where}: a function of {lines} lines"] if lines > FUNCTION_LINES else []
    assert not long


def test_every_op_has_a_test() -> None:
    """A test imports it, or a random network or a case of an operator must come to its kind."""
    tests = "\n".join((ROOT / f).read_text() for f in tracked() if f.startswith("tests/") and f.endswith(".py"))
    missing = []
    for file, tree in python_files("rnnc/ops").items():
        kinds = [
            str(ast.literal_eval(node.value))
            for node in ast.walk(tree)
            if isinstance(node, ast.AnnAssign) and ast.unparse(node.target) == "kind" and node.value
        ]
        for kind in kinds:
            imported_by_name = f"from {module_of(file)} import" in tests
            if not imported_by_name and not re.search(rf'"{kind}\d?"', tests):
                missing.append(f"{file} ({kind})")
    assert not missing


def test_every_operator_of_onnx_that_is_compiled_is_on_the_page() -> None:
    """What only rewriting makes (a normalisation found in primitive operators) is no operator of ONNX."""
    onnx = {name for name in HANDLERS if defs.has(name)}
    rows = [line.split("|")[1] for line in (ROOT / "docs/supported.md").read_text().splitlines() if line[:2] == "| "]
    assert onnx - {word for row in rows for word in re.findall(r"\w+", row)} == set()


PLACES = "|".join(("work", "home", "root", "tmp", "opt", "mnt", "Users"))
ABSOLUTE = re.compile(rf"(?<![\w.:/}}>)\-]){re.escape('/')}(?:{PLACES})/\w")
REGISTRIES = re.compile(
    "|".join((r"pypi\.or" + "g", r"pythonhosted\.or" + "g", r"registry\.npmj" + "s", "conda-forg" + "e"))
)


def test_nothing_says_where_it_was_made() -> None:
    """No absolute path, no package registry's host; files of bytes are left out."""
    found = []
    for file in tracked():
        data = (ROOT / file).read_bytes()
        if b"\0" in data:
            continue
        for number, line in enumerate(data.decode().splitlines(), 1):
            if ABSOLUTE.search(line) or REGISTRIES.search(line):
                found.append(f"{file}:{number}: {line.strip()[:100]}")
    assert not found


@pytest.mark.parametrize("text", ["see /home" + "/me/x", '"/tmp' + '/x"', "from files.pythonhosted" + ".org"])
def test_a_trace_of_the_machine_is_found(text: str) -> None:
    assert ABSOLUTE.search(text) or REGISTRIES.search(text)
