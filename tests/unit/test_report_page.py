"""report.html: what it says, that it says it in a browser, and that it asks nothing of the network."""

from __future__ import annotations

import json
import re
import subprocess
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import rnnc
from rnnc.fixed import Format
from rnnc.package import Package
from rnnc.report.advice import advice
from rnnc.report.charts import Mark, Series, largest_of_stretches, lines, ticks
from rnnc.verification.occupancy import Occupancy
from tests.conftest import require
from tests.support.models import recurrent
from tests.support.small import FEATURES, small

Array = np.ndarray[Any, Any]
BROWSERS_OWN = "not an origin"
"""What Chromium's log calls the initiator of its own requests."""


def noise(steps: int) -> dict[str, Array]:
    """Calibration data for ``small()``."""
    return {"x": np.random.default_rng(0).standard_normal((steps, FEATURES)).astype(np.float32)}


class _Text(HTMLParser):
    """Text, without the style sheet, and every attribute."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.words: list[str] = []
        self.attributes: list[tuple[str, str]] = []
        self.tags: set[str] = set()
        self._style = False
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes += [(k, v or "") for k, v in attrs]
        self._style = tag == "style"

    def handle_endtag(self, tag: str) -> None:
        self._style = False

    def handle_data(self, data: str) -> None:
        if not self._style:
            self.words.append(data)

    @property
    def text(self) -> str:
        """All of it, blanks as one."""
        return re.sub(r"\s+", " ", " ".join(self.words))


@pytest.fixture(scope="module")
def package() -> Package:
    return rnnc.compile_model(small(), noise(300))


def _page(package: Package) -> str:
    return package.files["report.html"]


def _figures(package: Package) -> list[str]:
    """What the page must say."""
    report = package.report
    (output,) = report["verify"]["outputs"]
    cost = report["cost"]
    return [
        f"{output['sqnr_db']:.1f} dB",
        f"{cost['flash_weights'] + cost['flash_tables']:,} B",
        f"{cost['ram_state'] + cost['ram_scratch']:,} B",
        report["model"]["sha256"],
        "bit for bit over 300 steps",
        *(op.name for op in package.program.qnet.ops),
        *(f"{b['worst']:,} of 2" for b in report["certificate"]),
        "What each layer costs",
        "never",
    ]


def test_the_page_says_what_the_report_says(package: Package) -> None:
    text = _Text(_page(package)).text
    assert not [figure for figure in _figures(package) if figure not in text]


def test_the_page_holds_all_it_shows(package: Package) -> None:
    page = _Text(_page(package))
    assert not page.tags & {"script", "link", "img", "iframe", "object", "image", "use"}
    assert not [(k, v) for k, v in page.attributes if k in {"src", "href", "srcset", "data"}]
    assert "url(" not in _page(package) and "@import" not in _page(package)
    assert page.tags >= {"svg", "table"}


def _chromium(page: Path, folder: Path) -> tuple[str, list[str]]:
    """The page after Chromium has rendered it, and what it asked for beside itself; there is no network in there."""
    log = folder / "net.json"
    alone = (
        ["unshare", "-n"]
        if subprocess.run(["unshare", "-n", "true"], check=False, capture_output=True).returncode == 0
        else []
    )
    headless = [
        require("chromium"),
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        f"--user-data-dir={folder / 'profile'}",
    ]
    command = [*alone, *headless, f"--log-net-log={log}", "--dump-dom", page.as_uri()]
    done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=120)
    asked = [event.get("params", {}) for event in json.loads(log.read_text())["events"]]
    urls = [p["url"] for p in asked if "url" in p and p.get("initiator", BROWSERS_OWN) != BROWSERS_OWN]
    return done.stdout, [url for url in urls if url != page.as_uri()]


def test_a_browser_shows_it_and_asks_for_nothing(package: Package, tmp_path: Path) -> None:
    page = package.write(tmp_path / "net") / "report.html"
    shown, asked = _chromium(page, tmp_path)
    text = _Text(shown).text
    assert not [figure for figure in _figures(package) if figure not in text]
    assert asked == []


def test_a_page_that_asks_for_something_is_noticed(tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    page.write_text('<img src="http://127.0.0.1:9/picture.png">')
    assert "http://127.0.0.1:9/picture.png" in _chromium(page, tmp_path)[1]


def test_names_cannot_break_out_of_the_page() -> None:
    rng = np.random.default_rng(0)
    w, r, b = rng.standard_normal((12, 2)), rng.standard_normal((12, 3)), np.zeros(24)
    package = rnnc.compile_model(recurrent("LSTM", w, r, b, input_name="<script>alert(1)</script>"), verify=False)
    assert "<script" not in _page(package)
    assert "<script>alert(1)</script>" in _Text(_page(package)).text


def test_what_was_not_done_is_said() -> None:
    text = _Text(_page(rnnc.compile_model(small(), verify=False))).text
    assert "Nothing was compared" in text and "not verified" in text
    assert "Ranges come from noise" in text and "calibration=DATA" in text


def test_a_clipped_input_is_the_cause_and_the_first_advice() -> None:
    calm = noise(600)
    loud = {k: v.copy() for k, v in calm.items()}
    for x in loud.values():
        x[..., 1] *= 10
    package = rnnc.build(small(), calm, rnnc.Options(), test=loud)
    text = _Text(_page(package)).text.split("What to do")[1]
    assert re.match(r"\s*(Fair|Poor): .*; input x went beyond its calibration: [\d.]+% of its numbers", text), text[
        :200
    ]
    assert re.search(r"Input x was clipped in [\d.]+% of its numbers \(elements 1\): it holds", text), text[:400]


def _occupied(name: str, producer: str, clipped: int) -> Occupancy:
    """A value of which so many of 100,000 numbers were clipped."""
    one = np.ones(1)
    return Occupancy(name, producer, Format.q(15), one, one, np.array([clipped]), 100_000)


def test_what_is_clipped_within_is_one_sentence_and_what_hardly_matters_the_last() -> None:
    package = rnnc.build(small(), noise(600), rnnc.Options())
    assert package.verified is not None
    names = {"x": 5, "a": 20, "b": 3000, "c": 40, "d": 30}
    occupancy = tuple(_occupied(name, "" if name == "x" else "op", clipped) for name, clipped in names.items())
    measured = replace(package.verified.measured, occupancy=occupancy)
    verified = replace(package.verified, measured=measured)
    said = advice(package.program, package.options, True, verified, None)
    assert said[0] == (
        "Values within the network were clipped: b in 3.00% of its numbers (it holds ±1), c in 0.04% of its numbers "
        "(it holds ±1), d in 0.03% of its numbers (it holds ±1), and 1 more. Calibrate with data that drives it as far."
    )
    assert said[-1] == "Clipped less than once in 10,000 numbers, which hardly matters: x."


def test_few_steps_are_remarked() -> None:
    assert "Only 40 steps were compared" in _Text(_page(rnnc.compile_model(small(), noise(40)))).text


def test_what_bench_counted_is_shown(package: Package) -> None:
    counted = {
        "target": "cortex-m4",
        "optimize": "-O2",
        "min": 1200,
        "median": 1234,
        "max": 1300,
        "ops": {"lstm0": 1203, "dense0": 31},
        "functions": {"rnnc_lstm": 1111, "memcpy": 7},
    }
    blind: dict[str, object] = {**dict.fromkeys(("min", "median", "max")), "target": "host", "optimize": "-O2"}
    blind |= {"ops": {}, "functions": {}}
    cost = {**package.report["cost"], "instructions": [counted, blind]}
    text = _Text(package.page({**package.report, "cost": cost})).text
    assert "Instructions of a step on cortex-m4 1,234 in the median, 1,200 to 1,300" in text
    assert "By operation lstm0 1,203 dense0 31" in text and "By C function rnnc_lstm 1,111" in text
    assert "on host" not in text and "rnnc bench runs" not in text


def test_round_ticks() -> None:
    assert ticks(0, 10, 5) == [0, 2, 4, 6, 8, 10]
    assert ticks(-0.31, 0.62, 5) == pytest.approx([-0.2, 0, 0.2, 0.4, 0.6])
    assert ticks(999.5, 1001, 4) == pytest.approx([999.5, 1000, 1000.5, 1001])


def test_stretches_keep_peaks() -> None:
    y = np.zeros(10_000)
    y[1234] = 7
    x, top = largest_of_stretches(np.arange(10_000.0), y)
    assert len(x) == len(top) <= 380 and top.max() == 7


def test_a_chart_of_one_point_and_of_a_constant() -> None:
    one = lines([Series("a", np.zeros(1), np.ones(1))], "x", "title", Mark(0, "here"))
    flat = lines([Series("a", np.arange(3.0), np.zeros(3))], "x", "title", zero=True)
    assert "nan" not in one + flat and "inf" not in one + flat
