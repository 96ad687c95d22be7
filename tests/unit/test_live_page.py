"""report.html runs the network itself: the C's bits, float64 beside them, with keyboard and screen reader, and no request."""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import helper

import rnnc
from rnnc.package import Package
from rnnc.report import in_page as in_page_module
from rnnc.streams import run_net
from tests.conftest import require
from tests.support.browser import Browser
from tests.support.models import model, recurrent
from tests.support.small import FEATURES, small

Array = np.ndarray[Any, Any]
ROOT = Path(__file__).parents[2]
GESTURE = ROOT / "examples/gesture"
READY = "document.querySelector('#live-section')?.dataset.ready"
MOST_BYTES = 400_000
TOGETHER = """(frames) => { const net = window.rnnc.net; net.reset();
  return frames.map((frame) => { const {integers, floats} = net.step(frame); return [integers, floats, net.states()]; }); }"""


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    for tool in ("clang", "wasm-ld"):
        require(tool)
    with Browser(tmp_path_factory.mktemp("browser")) as started:
        yield started


@pytest.fixture(scope="module")
def gesture(tmp_path_factory: pytest.TempPathFactory) -> tuple[Package, Path]:
    package = rnnc.compile_model(GESTURE / "gesture.onnx", GESTURE / "calib.npz", verify=False)
    return package, package.write(tmp_path_factory.mktemp("gesture") / "gesture") / "report.html"


def _recording(steps: int) -> Array:
    recordings: Array = np.load(GESTURE / "test.npz")["x"]
    return recordings.reshape(-1, 6)[:steps].astype(np.float64)


def _run(browser: Browser, frames: Array) -> tuple[list[Array], list[Array]]:
    """Integers, and float64, of each output over all steps."""
    rows = browser.run(f"({TOGETHER})({json.dumps(frames.tolist())})")
    integers, floats, _ = zip(*rows, strict=True)
    return [np.array(y) for y in zip(*integers, strict=True)], [np.array(y) for y in zip(*floats, strict=True)]


def _check(browser: Browser, package: Package, frames: Array) -> None:
    """Integers as the C's, floats as ``run_net``'s."""
    (port,) = package.program.outputs
    integers, floats = _run(browser, frames)
    real = package.simulate({package.program.inputs[0].name: frames}, engine="c")[port.name].reshape(len(frames), -1)
    assert np.array_equal(port.format.dequantize(integers[0]), real)
    name = package.program.inputs[0].name
    shape = package.program.qnet.net.inputs[0].shape
    exact = run_net(package.program.qnet.net, {name: frames.reshape(-1, 1, *shape)})[port.name]
    assert np.abs(floats[0] - exact.reshape(len(frames), -1)).max() < 1e-9


def test_the_page_computes_the_bits_of_the_c_and_the_twin_what_run_net_does(
    browser: Browser, gesture: tuple[Package, Path]
) -> None:
    package, page = gesture
    assert page.stat().st_size < MOST_BYTES
    browser.open(page, READY)
    _check(browser, package, _recording(300))
    assert browser.asked == [] and browser.errors == []


def _dropped(browser: Browser, name: str, text: str) -> None:
    browser.run(
        f"""(() => {{ const files = new DataTransfer(); files.items.add(new File([{json.dumps(text)}], {json.dumps(name)}));
        document.querySelector('#live-section').dispatchEvent(new DragEvent('drop', {{dataTransfer: files, bubbles: true,
        cancelable: true}})); }})()"""
    )


def test_a_dropped_recording_runs_to_its_end(browser: Browser, gesture: tuple[Package, Path]) -> None:
    package, page = gesture
    browser.open(page, READY)
    heading = "time;" + ";".join(f"x[{k}]" for k in range(6))
    lines = [f"{k};" + ";".join(map(repr, row)).replace(".", ",") for k, row in enumerate(_recording(200).tolist())]
    _dropped(browser, "walk.csv", "\n".join([heading, *lines]))
    browser.until("document.querySelector('#live-now').textContent.startsWith('Step 200 of 200')")
    real = package.simulate({"x": _recording(200)}, engine="c")["logits"][-1]
    shown = browser.run("[...document.querySelectorAll('#live-values tr')].map((r) => r.cells[2].textContent)")
    assert np.allclose(np.array(shown, float), real, rtol=1e-4)
    largest = f"logits[{int(real.argmax())}], largest"
    assert browser.run("document.querySelector('#live-values .most th').textContent") == largest
    assert "200 steps" in browser.run("document.querySelector('#live-source').textContent")
    assert browser.run("document.querySelector('#live-chart .line-a').getAttribute('d').length") > 1000
    assert browser.run("document.querySelectorAll('#live-state-0 rect').length") == 32
    heading, *rows = browser.run("window.rnnc.answersAsCsv()").splitlines()
    assert heading.split(",")[:2] == ["step", '"logits[0]"'] and heading.endswith('"logits[6] float64"')
    saved = np.array([row.split(",") for row in rows], float)
    assert np.array_equal(saved[:, 1:8], package.simulate({"x": _recording(200)}, engine="c")["logits"])
    assert browser.run("document.querySelectorAll('#live-chart .line-a').length") == 7
    browser.run("document.querySelector('#live-save').click()")
    browser.run(
        "Object.assign(document.querySelector('#live-channel'), {value: '0/3'}).dispatchEvent(new Event('change'))"
    )
    assert browser.run("document.querySelectorAll('#live-chart .line-a').length") == 1
    assert browser.asked == [] and browser.errors == []


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("1,2,3\n4,5,6\n", "the file has 3 columns; the network takes 6 a step"),
        ("a,b,c,d,e,f\n1,2,3,4,5,x\n", "line 2 holds no 6 numbers"),
        ("", "the file is empty"),
    ],
    ids=["columns", "words", "nothing"],
)
def test_a_recording_that_does_not_fit_is_an_alert(
    browser: Browser, gesture: tuple[Package, Path], text: str, said: str
) -> None:
    browser.open(gesture[1], READY)
    _dropped(browser, "other.csv", text)
    browser.until("document.querySelector('#live-error').textContent")
    assert browser.run("document.querySelector('#live-error').textContent") == f"other.csv: {said}."
    assert browser.run("document.querySelector('#live-error').getAttribute('role')") == "alert"


def _sound(folder: Path, samples: Array) -> Path:
    form = struct.pack("<HHIIHH", 1, 1, 16000, 32000, 2, 16)
    raw = samples.astype("<i2").tobytes()
    chunks = b"WAVEfmt " + struct.pack("<I", 16) + form + b"data" + struct.pack("<I", len(raw)) + raw
    (folder / "tone.wav").write_bytes(b"RIFF" + struct.pack("<I", len(chunks)) + chunks)
    return folder / "tone.wav"


def test_a_wav_runs_through_a_network_of_samples(browser: Browser, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    model = recurrent("GRU", rng.standard_normal((12, 40)) / 6, rng.standard_normal((12, 4)) / 2, np.zeros(24))
    package = rnnc.compile_model(model, {"x": rng.standard_normal((200, 40)) / 3}, verify=False)
    page = package.write(tmp_path / "net") / "report.html"
    samples = np.round(9000 * np.sin(np.arange(40 * 25 + 7) / 5))
    browser.open(page, READY)
    browser.choose("#live-file", _sound(tmp_path, samples))
    browser.until("document.querySelector('#live-now').textContent.startsWith('Step 25 of 25')")
    (name,) = package.simulate(tmp_path / "tone.wav", engine="c")
    last = package.simulate(tmp_path / "tone.wav", engine="c")[name].reshape(25, -1)[-1]
    shown = browser.run("[...document.querySelectorAll('#live-values tr')].map((r) => r.cells[2].textContent)")
    assert np.allclose(np.array(shown, float), last, rtol=1e-4, atol=1e-9)
    assert browser.run("!!document.querySelector('#live-microphone')")


def test_it_is_run_by_keyboard_and_read_by_screen_readers(browser: Browser, gesture: tuple[Package, Path]) -> None:
    browser.open(gesture[1], READY)
    browser.run("document.querySelector('#live-file').focus()")
    reached = []
    for _ in range(12):
        browser.press("Tab", 9)
        reached.append(browser.run("document.activeElement.id || document.activeElement.type"))
        if reached[-1] == "live-step":
            browser.press("Enter", 13, "\r")
            browser.press("Enter", 13, "\r")
    assert reached[:6] == ["live-step", "live-run", "live-reset", "live-speed", "live-channel", "live-save"]
    assert reached[6:12] == ["range"] * 6
    assert browser.run("document.querySelector('#live-now').textContent").startswith("Step 2.")
    spoken = browser.spoken()
    for wanted in [("button", "Step"), ("button", "Run"), ("button", "Reset"), ("region", "Let it run")]:
        assert wanted in spoken
    assert len([n for role, n in spoken if role == "slider" and n.startswith("x[")]) == 6
    pictures = [n for role, n in spoken if role == "image"]
    assert any(n.startswith("all 7 elements of logits over the last 2 steps, now") for n in pictures)
    assert any(n.startswith("gru0_s: 32 numbers") for n in pictures)
    assert not [role for role, n in spoken if role in ("button", "slider", "image", "combobox") and not n]


def test_it_fits_a_narrow_window(browser: Browser, gesture: tuple[Package, Path]) -> None:
    """Only tables and pictures scroll sideways, each by itself."""
    browser.resize(320, 800)
    browser.open(gesture[1], READY)
    assert browser.run("document.documentElement.scrollWidth") <= 320
    browser.resize(1000, 800)


@pytest.mark.parametrize("example", ["heartbeat/heartbeat", "temperature/temperature_rnn", "poet/poet"])
def test_the_networks_of_the_examples_have_their_twin(browser: Browser, tmp_path: Path, example: str) -> None:
    folder = ROOT / "examples" / example.split("/", maxsplit=1)[0]
    package = rnnc.compile_model(ROOT / f"examples/{example}.onnx", folder / "calib.npz", verify=False)
    browser.open(package.write(tmp_path / "net") / "report.html", READY)
    data = package.data.sequences[package.program.inputs[0].name][0]
    _check(browser, package, np.asarray(data, np.float64).reshape(len(data), -1)[:60])


def test_a_network_without_a_twin_says_why_and_still_runs(browser: Browser, tmp_path: Path) -> None:
    package = rnnc.compile_model(small(), {"x": np.random.default_rng(0).standard_normal((96, FEATURES))}, window=8)
    page = package.write(tmp_path / "net") / "report.html"
    assert "no float line for this network: it answers windows." in page.read_text()
    browser.open(page, READY)
    browser.run("document.querySelector('#live-step').click()")
    assert browser.run("document.querySelector('#live-now').textContent") == "Step 1."
    assert browser.run("document.querySelectorAll('#live-values tr')[0].cells.length") == 3


def test_without_clang_the_page_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(in_page_module, "missing", lambda: ["clang", "lld"])
    package = rnnc.compile_model(small(), verify=False)
    text = (package.write(tmp_path / "net") / "report.html").read_text()
    assert "<code>apt-get install clang lld</code>" in text and "<script" not in text


def test_names_cannot_break_out_of_the_running_page(browser: Browser, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    w, r, b = rng.standard_normal((12, 2)), rng.standard_normal((12, 3)), np.zeros(24)
    package = rnnc.compile_model(
        recurrent("LSTM", w, r, b, input_name="</script><img src=x onerror=alert(1)>"), verify=False
    )
    browser.open(package.write(tmp_path / "net") / "report.html", READY)
    assert browser.run("document.images.length") == 0 and browser.asked == []


def test_a_step_that_divides_and_normalises_has_a_twin(browser: Browser, tmp_path: Path) -> None:
    """Means and sums that NumPy writes in place, limits and quotients."""
    rng = np.random.default_rng(1)
    shapes = {"W": (1, 16, 5), "R": (1, 16, 4), "G": (4,), "B": (4,)}
    nodes = [
        helper.make_node("LSTM", ["x", "W", "R"], ["Y"], hidden_size=4),
        helper.make_node("Squeeze", ["Y", "one"], ["h"]),
        helper.make_node("LayerNormalization", ["h", "G", "B"], ["n"]),
        helper.make_node("Relu", ["n"], ["y"]),
    ]
    constants = {**{name: rng.standard_normal(shape) for name, shape in shapes.items()}, "one": np.array([1])}
    content = model(nodes, {"x": ["time", 1, 5]}, {"y": ["time", 1, 4]}, constants)
    package = rnnc.compile_model(content, {"x": rng.standard_normal((300, 5))}, verify=False)
    browser.open(package.write(tmp_path / "net") / "report.html", READY)
    _check(browser, package, rng.standard_normal((40, 5)))
