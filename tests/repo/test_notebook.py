"""docs/notebook.ipynb runs from top to bottom, without Jupyter, and shows what it holds."""

from __future__ import annotations

import ast
import json
import os
import re
import shutil
from collections.abc import Mapping, Sequence
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.conftest import require

ROOT = Path(__file__).parents[2]
NOTEBOOK = ROOT / "docs/notebook.ipynb"
GESTURE = ROOT / "examples/gesture"


class Shown(NamedTuple):
    """What a cell prints, the value of its last expression (None for none), and that as text."""

    printed: str
    value: Any
    text: str


def _content() -> dict[str, Any]:
    return dict(json.loads(NOTEBOOK.read_text()))


def _code(content: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [cell for cell in content["cells"] if cell["cell_type"] == "code"]


def _run(source: str, names: dict[str, Any]) -> Shown:
    """A cell as Jupyter runs it: its last expression is shown."""
    tree = ast.parse(source)
    last = tree.body.pop() if isinstance(tree.body[-1], ast.Expr) else None
    value, printed = None, StringIO()
    with redirect_stdout(printed):
        exec(compile(tree, NOTEBOOK.name, "exec"), names)
        if isinstance(last, ast.Expr):
            value = eval(compile(ast.Expression(last.value), NOTEBOOK.name, "eval"), names)
    return Shown(printed.getvalue(), value, repr(value))


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> list[Shown]:
    """What each cell of code shows, in a copy of the folders that it uses."""
    folder = tmp_path_factory.mktemp("notebook")
    (folder / "docs").mkdir()
    shutil.copytree(GESTURE, folder / "examples/gesture", ignore=shutil.ignore_patterns("train.npz", "__pycache__"))
    names: dict[str, Any] = {"__name__": "__main__"}
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder / "docs")
        return [_run("".join(cell["source"]), names) for cell in _code(_content())]


def _outputs(cell: int, shown: Shown) -> list[dict[str, Any]]:
    """As a notebook holds them; the page of a report is left out."""
    stream = {"name": "stdout", "output_type": "stream", "text": shown.printed.splitlines(keepends=True)}
    data = {"text/plain": shown.text.splitlines(keepends=True)}
    result = {"data": data, "execution_count": cell, "metadata": {}, "output_type": "execute_result"}
    return [*([stream] if shown.printed else []), *([] if shown.value is None else [result])]


def _words(outputs: Sequence[Any]) -> str:
    """Without numbers and blanks: the last digit of a figure differs on another machine."""
    return re.sub(r"\s+", "", re.sub(r"\d[\d.]*", "#", json.dumps(outputs)))


def test_the_outputs_are_those_of_this_build(shown: list[Shown]) -> None:
    """RNNC_UPDATE_GOLDEN=1 writes them into the notebook."""
    require("arm-none-eabi-gcc")
    require("qemu-system-arm")
    content = _content()
    found = [_outputs(number, each) for number, each in enumerate(shown, 1)]
    if os.environ.get("RNNC_UPDATE_GOLDEN"):
        for number, cell in enumerate(_code(content), 1):
            cell.update(execution_count=number, outputs=found[number - 1])
        NOTEBOOK.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n")
    assert [_words(cell["outputs"]) for cell in _code(content)] == [_words(each) for each in found]


def test_objects_are_shown_as_html(shown: list[Shown]) -> None:
    net, package = (each.value._repr_html_() for each in shown[:2])
    assert "GRU 6 -&gt; 32" in net
    assert package.startswith("<iframe") and "good" in package
    assert "fits stm32l476" in shown[3].value._repr_html_()


def test_the_stream_names_the_exercise(shown: list[Shown]) -> None:
    printed = shown[5].printed.splitlines()
    exercise = printed[0].removeprefix("the wearer does: ")
    assert printed[-1] == f"frame 150: {exercise}"


def test_the_package_is_written(shown: list[Shown]) -> None:
    assert {"gesture.h", "gesture.c", "report.html", "report.json"} <= set(shown[-1].value)


def test_it_is_a_notebook_of_version_4() -> None:
    content = _content()
    assert (content["nbformat"], content["nbformat_minor"]) == (4, 5)
    assert len({cell["id"] for cell in content["cells"]}) == len(content["cells"]) <= 15
    for cell in content["cells"]:
        wanted = {"cell_type", "id", "metadata", "source"}
        wanted |= {"execution_count", "outputs"} if cell["cell_type"] == "code" else set()
        assert set(cell) == wanted


def test_its_links_lead_to_pages() -> None:
    for cell in _content()["cells"]:
        for target in re.findall(r"\]\(([^)]+)\)", "".join(cell["source"])):
            assert (NOTEBOOK.parent / target).is_file(), target
