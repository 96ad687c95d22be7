"""Names in any script, in locales that know ASCII alone: no traceback, and files are found and written under their names."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from onnx import ModelProto

from tests.conftest import require
from tests.support.small import FEATURES, small

ROOT = Path(__file__).parents[2]
LOCALES = {
    "POSIX": {"LC_ALL": "C", "PYTHONUTF8": "0"},
    "POSIX, UTF-8 mode": {"LC_ALL": "POSIX"},
    "ASCII streams": {"PYTHONIOENCODING": "ascii"},
}
MODEL, DATA, INPUT, OUTPUT = "网络.onnx", "较准 ü.npz", "入力", "出力"


@pytest.fixture
def here(tmp_path: Path) -> Path:
    folder = tmp_path / "日本 ü"
    folder.mkdir()
    model = ModelProto.FromString(small())
    model.graph.input[0].name = model.graph.node[0].input[0] = INPUT
    model.graph.output[0].name = model.graph.node[-1].output[0] = OUTPUT
    (folder / MODEL).write_bytes(model.SerializeToString())
    data = np.random.default_rng(0).standard_normal((100, FEATURES)).astype(np.float32)
    np.savez(folder / DATA, **{INPUT: data})  # type: ignore[arg-type]
    return folder


def run(here: Path, locale: str, *words: str | bytes) -> tuple[int, str, str]:
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("LC_", "LANG", "PYTHON"))}
    environment |= {"PYTHONPATH": str(ROOT), **LOCALES[locale]}
    command = [sys.executable, "-m", "rnnc", *words]
    done = subprocess.run(command, cwd=here, env=environment, check=False, capture_output=True, timeout=120)
    out, err = done.stdout.decode(), done.stderr.decode()
    assert "Traceback" not in err and "internal error" not in err and "Warning:" not in err, err
    return done.returncode, out, err


@pytest.mark.parametrize("locale", LOCALES)
def test_a_network_whose_names_are_not_ascii(locale: str, here: Path) -> None:
    require("gcc")
    options = ("--calib", DATA, "--input-range", f"{INPUT}=-4:4", "--name", "名前 net")
    code, out, err = run(here, locale, "compile", MODEL, *options, "-o", "aus/gäbe", "--json")
    assert code == 0, err
    report = json.loads(out)
    assert report["model"]["file"] == MODEL and report["inputs"][0]["name"] == INPUT
    assert (here / "aus" / "gäbe" / "net.h").is_file()
    assert MODEL in (here / "aus" / "gäbe" / "report.html").read_text(encoding="utf-8")
    code, out, err = run(here, locale, "inspect", MODEL)
    assert code == 0 and (INPUT in out or r"\u5165\u529b" in out)


@pytest.mark.parametrize("locale", LOCALES)
def test_messages_about_names_that_are_not_ascii(locale: str, here: Path) -> None:
    assert run(here, locale, "compile", "没有.onnx")[0] == 3
    assert run(here, locale, "compile", MODEL, "--calib", "没有.npz", "--json")[0] == 4
    code, out, _ = run(here, locale, "inspect", MODEL, "--input-range", "没有=0:1", "--json")
    assert code == 2 and "没有" in json.loads(out)["error"]["message"]


def test_results_and_plots(here: Path) -> None:
    pytest.importorskip("matplotlib")
    words = (
        "simulate",
        MODEL,
        "--calib",
        DATA,
        "--input",
        DATA,
        "--engine",
        "oracle",
        "-o",
        "ü.npz",
        "--plot",
        "ü.png",
    )
    assert run(here, "POSIX", *words)[0] == 0
    assert (here / "ü.png").is_file() and OUTPUT in np.load(here / "ü.npz")


def test_a_file_whose_name_is_no_text(here: Path) -> None:
    name = b"caf\xe9.onnx"
    (here / os.fsdecode(name)).write_bytes(small())
    code, _, err = run(here, "ASCII streams", "compile", name, "--no-verify", "-o", "out")
    assert code == 0, err
    assert r"caf\udce9.onnx" in (here / "out" / "report.html").read_text(encoding="utf-8")
