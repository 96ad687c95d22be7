"""The pictures of the documentation, from a build of the gesture example; `python tools/pictures.py` writes docs/pictures.

That of the report is taken by Chromium, where it is installed and the picture that is there is one of another report.
"""

from __future__ import annotations

import base64
import hashlib
import io
import os
import re
import shutil
import struct
import sys
import zlib
from contextlib import redirect_stderr, redirect_stdout, suppress
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from markupsafe import Markup, escape

import rnnc
from rnnc.package import Package
from rnnc.report.charts import Series, lines
from rnnc.report.drawing import picture
from rnnc.report.page import Bar, flash_by_layer
from rnnc.report.terminal import NEXT
from rnnc.verification.engines import Engine

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))
GESTURE = ROOT / "examples/gesture"
FOLDER = ROOT / "docs/pictures"
COMMAND = ("compile", "gesture.onnx", "--calib", "calib.npz")
LINE, LETTER, BAR = 18, 8.43, 26
STEPS = 200
REPORT, WIDTH, HEIGHT = "report.png", 960, 1120
NUMBER = re.compile(r"-?\d[\d,]*\.?\d*(?:e-?\d+)?")
APART = 0.02
"""What a number may be another on another machine: its share, or as much of a pixel or a last digit."""
OWN = """svg { font: 13px system-ui, "Segoe UI", Roboto, "DejaVu Sans", sans-serif; background: var(--paper); width: auto; }
.paper { fill: var(--paper); } .terminal { fill: #16191c; } .fill { fill: var(--a); }
svg .typed { fill: #6cc08f; } svg .shown { fill: #e3e6e8; }
.typed, .shown { font: 14px ui-monospace, SFMono-Regular, Menlo, "DejaVu Sans Mono", monospace; white-space: pre; }"""


@cache
def style() -> str:
    """The colours of the report, dark mode included."""
    return (ROOT / "templates/page.css.j2").read_text(encoding="utf-8") + OWN


def framed(width: float, height: float, title: str, content: str) -> str:
    """An SVG file."""
    size = f'width="{width:.0f}" height="{height:.0f}" viewBox="0 0 {width:.0f} {height:.0f}"'
    head = f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img">\n<title>{escape(title)}</title>'
    return f'{head}\n<style>{style()}</style>\n<rect class="paper" width="100%" height="100%"/>\n{content}\n</svg>\n'


def standing(svg: str, title: str) -> str:
    """A picture of the report as a file of its own."""
    found = re.search(r'viewBox="0 0 ([\d.]+) ([\d.]+)"', svg)
    kind = re.search(r'class="(\w+)"', svg)
    assert found and kind
    inner = svg[svg.index(">") + 1 : svg.rindex("</svg>")]
    return framed(float(found[1]), float(found[2]), title, f'<g class="{kind[1]}">{inner}</g>')


def terminal() -> str:
    """The command and what it prints."""
    from rnnc.__main__ import main

    printed, argv, here = io.StringIO(), sys.argv, Path.cwd()
    with TemporaryDirectory() as folder, redirect_stdout(printed), redirect_stderr(io.StringIO()):
        sys.argv = ["rnnc", *(str(GESTURE / word) if (GESTURE / word).exists() else word for word in COMMAND)]
        os.chdir(folder)
        with suppress(SystemExit):
            main()
        os.chdir(here)
        sys.argv = argv
    shown = printed.getvalue().rstrip().splitlines()
    assert any(line.startswith(NEXT) for line in shown), "the compilation fails"
    rows = [("typed", f"$ rnnc {' '.join(COMMAND)}"), *(("shown", line) for line in shown)]
    text = [
        f'<text class="{kind}" x="16" y="{28 + LINE * k}" xml:space="preserve">{escape(line)}</text>'
        for k, (kind, line) in enumerate(rows)
    ]
    width, height = 32 + LETTER * max(len(line) for _, line in rows), 36 + LINE * len(rows)
    back = f'<rect class="terminal" width="{width:.0f}" height="{height}" rx="8"/>'
    return framed(width, height, "rnnc compiles the gesture example", "\n".join([back, *text]))


def stream(package: Package) -> str:
    """One output over time, in onnxruntime and in the C."""
    x = np.load(GESTURE / "test.npz")["x"].reshape(-1, 6)[:STEPS]
    steps = np.arange(STEPS, dtype=np.float64)
    engines: list[tuple[Engine, str, str]] = [("onnxruntime", "onnxruntime", "a"), ("c", "the C", "b")]
    series = [
        Series(label, steps, package.simulate({"x": x}, engine)["logits"][:, 0], look)
        for engine, label, look in engines
    ]
    return standing(lines(series, "step", "logits[0] of a recording"), "one output over time: onnxruntime and the C")


def flash(package: Package) -> str:
    """Bytes of each layer's constants."""
    rows = flash_by_layer(package.program)
    text = [_bar(k, bar) for k, bar in enumerate(rows)]
    return framed(620, BAR * len(rows) + 16, "flash by layer", "\n".join(text))


def _bar(k: int, bar: Bar) -> Markup:
    y = BAR * k + 14
    return Markup(
        '<text x="8" y="{}">{}</text><rect class="fill" x="130" y="{}" width="{:.1f}" height="12" rx="3"/>'
        '<text x="{:.1f}" y="{}">{}</text>'
    ).format(y + 10, bar.name, y, 380 * bar.share, 140 + 380 * bar.share, y + 10, bar.text)


def report() -> tuple[Package, str]:
    """The build whose report is pictured, and all that the report says, with a hash of how it looks."""
    package = rnnc.compile_model(GESTURE / "gesture.onnx", GESTURE / "calib.npz")
    page = package.page(package.report, None, package.alternatives)
    words = re.sub(r"<(style|svg).*?</\1>|<[^>]*>", " ", page, flags=re.S)
    looks = "".join((ROOT / "templates" / name).read_text(encoding="utf-8") for name in ("page.css.j2", "live.js"))
    letters = hashlib.sha256(looks.encode()).hexdigest().translate(str.maketrans("0123456789", "ghijklmnop"))
    return package, f"{' '.join(words.split())} {letters}"


def photograph(package: Package) -> bytes:
    """The top of the report, a recording running through it, as Chromium shows it; a PNG."""
    from tests.support.browser import Browser

    with TemporaryDirectory() as folder:
        page, recording = Path(folder) / "report.html", Path(folder) / "walk.csv"
        page.write_text(package.live_page(), encoding="utf-8")
        np.savetxt(recording, np.load(GESTURE / "test.npz")["x"].reshape(-1, 6)[:STEPS], "%.5f", ",")
        with Browser(Path(folder)) as browser:
            browser.resize(WIDTH, HEIGHT)
            browser.open(page, "document.querySelector('#live-section')?.dataset.ready")
            browser.choose("#live-file", recording)
            browser.until(f"document.querySelector('#live-now').textContent.includes('Step {STEPS} of')")
            return base64.b64decode(browser.picture())


def with_words(png: bytes, words: str) -> bytes:
    """A PNG that holds what its picture says, as compressed text after the header."""
    header = 8 + 12 + 13
    content = b"zTXtDescription\0\0" + zlib.compress(words.encode())
    chunk = struct.pack(">I", len(content) - 4) + content + struct.pack(">I", zlib.crc32(content))
    return png[:header] + chunk + png[header:]


def words_of(png: bytes) -> str:
    """What ``with_words`` put into a PNG."""
    (length,) = struct.unpack(">I", png[33:37])
    return zlib.decompress(png[41 : 41 + length].partition(b"\0\0")[2]).decode()


def alike(one: str, other: str) -> bool:
    """Whether two pictures say the same in the same places; numbers of another machine differ a little."""
    (words, numbers), (others, theirs) = _words_and_numbers(one), _words_and_numbers(other)
    return words == others and all(
        abs(a - b) <= APART * max(abs(a), abs(b)) + APART for a, b in zip(numbers, theirs, strict=True)
    )


def _words_and_numbers(text: str) -> tuple[str, list[float]]:
    return NUMBER.sub("#", text), [float(n.replace(",", "")) for n in NUMBER.findall(text)]


def take_report() -> str:
    """Write the picture of the report where the one that is there is of another; what was done."""
    package, words = report()
    if (FOLDER / REPORT).exists() and alike(words_of((FOLDER / REPORT).read_bytes()), words):
        return f"{REPORT} is as it was"
    if not all(map(shutil.which, ("chromium", "clang", "wasm-ld"))):
        return f"{REPORT} is of another report, and stays: it takes chromium, clang and wasm-ld"
    (FOLDER / REPORT).write_bytes(with_words(photograph(package), words))
    return f"{REPORT} is new"


def pictures() -> dict[str, str]:
    """All that are text, by file name."""
    package = rnnc.compile_model(GESTURE / "gesture.onnx", GESTURE / "calib.npz", verify=False)
    return {
        "terminal.svg": terminal(),
        "stream.svg": stream(package),
        "step.svg": standing(picture(package.program.qnet), "one step of the gesture example"),
        "flash.svg": flash(package),
    }


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for name, text in pictures().items():
        (FOLDER / name).write_text(text, encoding="utf-8")
    print(take_report())
