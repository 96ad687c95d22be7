"""Pages are true: every block of code is run, output shown is what is printed, links lead somewhere, messages exist."""

from __future__ import annotations

import os
import platform
import re
import shutil
import struct
import subprocess
import sys
from collections.abc import Iterator
from datetime import date
from importlib.metadata import packages_distributions, version
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from onnx import helper

import rnnc
from tests.conftest import require
from tests.support.documents import Block, blocks
from tests.support.models import model
from tests.support.warm import warm_rnnc
from tests.unit.test_layouts import ARDUINO_H

ROOT = Path(__file__).parents[2]
PAGES = sorted((ROOT / "docs").glob("*.md"))
ALL_PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *PAGES]
GESTURE = ("gesture.onnx", "calib.npz", "test.npz")
EXAMPLES = {"encoder-decoder": ("seq2seq", ("encoder.onnx", "decoder.onnx", "calib.npz"))}
"""Whose files a page uses, where it is not the gesture example."""
FRAMEWORKS = {"from-pytorch": ("torch", "onnxscript"), "from-keras": ("keras", "tensorflow", "tf2onnx")}
"""Pages that need what neither rnnc nor its tests install: `make test-frameworks` does."""
WARNING = r"Warning\b|^W\d{4} "
"""What the libraries of these pages print before a warning of theirs: the pages' blocks show none."""
SECONDS = 1200
"""No block takes as long: what waits for ever is ended, what runs on a busy machine is not."""
RUN = ("sh", "python")
FILES = ("c", "cpp", "cmake", "make", "ld", "js")
"""Languages of blocks that name a file, which a later block uses."""
TOOLS = {
    "arm-none-eabi-gcc": "arm-none-eabi-gcc",
    "rnnc bench": "qemu-system-arm",
    "cmake -B": "cmake",
    "make ": "make",
    "make -C": "qemu-system-arm",
    "node ": "node",
    "wasm": "wasm-ld",
}


@pytest.fixture(scope="module")
def rnnc_command(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A command ``rnnc`` for the blocks of all pages."""
    with warm_rnnc(tmp_path_factory.mktemp("rnnc")) as command:
        yield command


@pytest.fixture
def workshop(tmp_path: Path, page: Path, rnnc_command: Path) -> Path:
    """The files that pages use: an example's, networks that look ahead and back, a recording, a stub of Arduino.h."""
    example, names = EXAMPLES.get(page.stem, ("gesture", GESTURE))
    for name in names:
        shutil.copy(ROOT / "examples" / example / name, tmp_path)
    weights = np.random.default_rng(3).standard_normal((2, 4, 5)) / 5
    conv = helper.make_node("Conv", ["x", "W"], ["y"], kernel_shape=[5], pads=[2, 2])
    (tmp_path / "ahead.onnx").write_bytes(model([conv], {"x": [1, 4, "time"]}, {"y": [1, 2, "time"]}, {"W": weights}))
    (tmp_path / "turned.onnx").write_bytes(_turned())
    (tmp_path / "forecast.onnx").write_bytes(_forecast())
    samples = (np.sin(np.arange(400) / 9) * 9000).astype("<i2").tobytes()
    form = struct.pack("<HHIIHH", 1, 1, 16000, 32000, 2, 16)
    chunks = b"WAVEfmt " + struct.pack("<I", 16) + form + b"data" + struct.pack("<I", len(samples)) + samples
    (tmp_path / "tone.wav").write_bytes(b"RIFF" + struct.pack("<I", len(chunks)) + chunks)
    (tmp_path / "Arduino.h").write_text(ARDUINO_H)
    (tmp_path / "bin").symlink_to(rnnc_command.parent)
    return tmp_path


def _turned() -> bytes:
    """A GRU that reads ``x [time, 1, 3]`` backwards, with an answer of two numbers for each frame."""
    rng = np.random.default_rng(4)
    nodes = [
        helper.make_node("GRU", ["x", "W", "R"], ["Y"], hidden_size=4, direction="reverse"),
        helper.make_node("Squeeze", ["Y", "axis"], ["h"]),
        helper.make_node("MatMul", ["h", "D"], ["y"]),
    ]
    weights = {
        "W": rng.standard_normal((1, 12, 3)),
        "R": rng.standard_normal((1, 12, 4)),
        "D": rng.standard_normal((4, 2)),
    }
    constants = {**weights, "axis": np.array([1])}
    return model(nodes, {"x": ["time", 1, 3]}, {"y": ["time", 1, 2]}, constants)


def _forecast() -> bytes:
    """An LSTM that was trained on windows of 24 numbers, ``x [1, 24, 1]``, each from a zero state."""
    rng = np.random.default_rng(5)
    nodes = [
        helper.make_node("Transpose", ["x"], ["steps"], perm=[1, 0, 2]),
        helper.make_node("LSTM", ["steps", "W", "R"], ["", "h"], hidden_size=16),
        helper.make_node("Squeeze", ["h", "axis"], ["state"]),
        helper.make_node("MatMul", ["state", "D"], ["y"]),
    ]
    shapes = {"W": (1, 64, 1), "R": (1, 64, 16), "D": (16, 1)}
    constants = {name: rng.standard_normal(shape) / 2 for name, shape in shapes.items()}
    return model(nodes, {"x": [1, 24, 1]}, {"y": [1, 1]}, {**constants, "axis": np.array([0])})


def _run(block: Block, folder: Path, page: Path) -> str:
    for words, tool in TOOLS.items():
        if words in block.text:
            require(tool)
    command = (
        ["bash", "-euo", "pipefail", "-c", block.text] if block.language == "sh" else [sys.executable, "-c", block.text]
    )
    path = f"{folder / 'bin'}{os.pathsep}{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path, "PYTHONPATH": str(ROOT), "COLUMNS": "80", "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        command, cwd=folder, env=environment, check=False, capture_output=True, text=True, timeout=SECONDS
    )
    assert done.returncode == 0, f"{page.name}:{block.line}: exit {done.returncode}\n{done.stdout}{done.stderr}"
    if page.stem in FRAMEWORKS and block.language == "python":
        assert not re.search(WARNING, done.stderr, re.M), f"{page.name}:{block.line}: {done.stderr}"
    return done.stdout


def _alike(text: str) -> list[str]:
    """Lines whose numbers and blanks do not matter: what one machine computes differs in the last digit on another."""
    lines = [re.sub(r"\s+", " ", re.sub(r"\d[\d,.]*", "#", line)).strip() for line in text.splitlines()]
    return [line for line in lines if line and set(line) - set("─- ")]


@pytest.mark.parametrize("page", ALL_PAGES, ids=lambda p: p.stem)
def test_every_block_of_a_page_is_run_in_order(page: Path, workshop: Path) -> None:
    for module in FRAMEWORKS.get(page.stem, ()):
        if not find_spec(module):
            assert not os.environ.get("RNNC_UPDATE_RUNS"), f"{module} is not installed"
            pytest.skip(f"{module} is not installed: make test-frameworks installs it and runs this page")
    printed, written = "", set[str]()
    for block in blocks(page):
        if block.reason:
            continue
        where = f"{page.name}:{block.line}"
        if block.language in RUN:
            printed = _run(block, workshop, page)
        elif block.language == "text":
            missing = [line for line in _alike(block.text) if line not in _alike(printed)]
            assert not missing, f"{where}: not printed by the block before: {missing}"
        else:
            assert block.language in FILES and block.file, f"{where}: {block.language or 'a block'} that nothing uses"
            (workshop / block.file).write_text(block.text)
            written.add(block.file)
    if page.stem in FRAMEWORKS and os.environ.get("RNNC_UPDATE_RUNS"):
        _note_run(page)
    used = "".join(b.text for b in blocks(page) if b.language == "sh")
    implied = {"CMakeLists.txt": "cmake -B", "Makefile": "make "}
    assert not [f for f in written if f not in used and implied.get(f, "?") not in used]


def test_make_installs_what_the_pages_of_frameworks_need() -> None:
    command = ["make", "-n", "-C", str(ROOT), "test-frameworks"]
    printed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    for page, modules in FRAMEWORKS.items():
        (line,) = [x for x in printed.splitlines() if f"build/{page.removeprefix('from-')}/bin/python -m pip" in x]
        assert set(modules) <= set(line.split())


def _note_run(page: Path) -> None:
    """Write into the page when, and with which versions, it was run."""
    found = packages_distributions()
    versions = [f"{name} {version(found[name][0])}" for name in (*FRAMEWORKS[page.stem], "onnx")]
    line = f"Last run on {date.today().isoformat()} with Python {platform.python_version()}, {', '.join(versions)}."
    begin, end = "<!-- run: written by make test-frameworks -->", "<!-- end of run -->"
    page.write_text(re.sub(f"{begin}.*?{end}", f"{begin}\n{line}\n{end}", page.read_text(), flags=re.S))


def test_the_page_s_table_of_windows_is_true() -> None:
    """Bytes of state and steps of the network in a call, by hop."""
    rows = re.findall(r"^\| .* \| (\d+) \| (?:at most )?(\d+) \|$", (ROOT / "docs/streaming.md").read_text(), re.M)
    for hop, row in zip((0, 24, 5, 1), rows, strict=True):
        cost = rnnc.compile_model(_forecast(), hop=hop, verify=False).report["cost"]
        calls = cost["windows"]["steps_a_call"] if hop else 1
        assert [str(cost["ram_state"]), str(calls)] == list(row)


def test_what_is_not_run_is_marked_for_readers_and_rare() -> None:
    found = [b for page in ALL_PAGES for b in blocks(page)]
    assert sum(bool(b.reason) for b in found) <= len(found) / 5
    assert all(b.reason.endswith(".") for b in found if b.reason)


@pytest.mark.parametrize("page", ALL_PAGES, ids=lambda p: p.stem)
def test_indented_commands_are_targets_of_the_makefile(page: Path) -> None:
    """They stand indented because they install or take minutes."""
    indented = [line.split() for line in _prose(page) if re.match(r" {4}\S", line)]
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.M))
    assert all(words[0] == "make" and words[1] in targets for words in indented), indented


@pytest.mark.parametrize("page", ALL_PAGES[:2], ids=lambda p: p.stem)
def test_links_of_pages_outside_the_site_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)", page.read_text()):
        assert (ROOT / target).exists(), target


def _prose(page: Path) -> list[str]:
    """Lines outside of fenced blocks."""
    return re.sub(r"^```.*?^```", "", page.read_text(), flags=re.M | re.S).splitlines()


def test_the_site_builds_without_a_warning(tmp_path: Path) -> None:
    """Every link and every anchor of every page leads somewhere."""
    if os.environ.get("CI"):
        import mkdocs  # noqa: F401
    else:
        pytest.importorskip("mkdocs")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    for page in PAGES:
        html = (tmp_path / f"{page.stem}.html").read_text()
        assert not re.findall(r'(?:src|href)="https?://', html.split("<article")[1].split("</article")[0]), page.name


def test_every_message_that_troubleshooting_explains_exists() -> None:
    sources = "\n".join(p.read_text() for p in sorted((ROOT / "rnnc").rglob("*.py")))
    plain = re.sub(r'"\s*\n\s*f?"', "", sources)
    messages = re.findall(r"^### `(.+)`$", (ROOT / "docs/troubleshooting.md").read_text(), re.M)
    assert len(messages) >= 12
    absent = []
    for message in messages:
        parts = [part.strip(" '") for part in re.split(r"\b[A-Z]{2,}\b(?!\w)", message.replace("SQNR", "sqnr"))]
        wanted = [p.replace("sqnr", "SQNR") for p in parts if len(p) > 4]
        assert wanted, message
        missing = [p for p in wanted if p not in plain and p.replace("'bidirectional'", "{direction!r}") not in plain]
        absent += [f"{message}: {missing}"] if missing else []
    assert not absent


def test_every_command_and_option_is_on_the_page_of_commands() -> None:
    from rnnc.cli import app

    text = (ROOT / "docs/commands.md").read_text() + (ROOT / "docs/firmware.md").read_text()
    for command in app.registered_commands:
        assert f"## {command.name}" in text or f"rnnc {command.name}" in text, command.name
    from rnnc.cli.shared import ModelArguments

    flags = [f"--{name.replace('_', '-')}" for name in ModelArguments.__dataclass_fields__ if name != "model"]
    assert not [flag for flag in flags if flag not in text]
