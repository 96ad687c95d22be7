"""An encoder and a decoder, handed over in C: greedy decoding gives the tokens that it gives in onnxruntime."""

from __future__ import annotations

import subprocess
from pathlib import Path

import numpy as np
import onnxruntime
import pytest

from rnnc.linking import Linked, compile_linked
from rnnc.options import Options, Precision
from tests.support.packages import WARNINGS, run

HERE = Path(__file__).parents[2] / "examples/seq2seq"
LETTERS = 12
START, END, LONGEST = LETTERS, LETTERS + 1, 16
LINKS = {"h": "h_in", "c": "c_in"}


def words() -> list[list[int]]:
    data = np.load(HERE / "words.npz")
    return [row[:n].tolist() for row, n in zip(data["letters"], data["lengths"], strict=True)]


def greedy(letters: list[int], encoder: onnxruntime.InferenceSession, decoder: onnxruntime.InferenceSession) -> str:
    """What onnxruntime says, the likeliest sign each time."""
    h, c = encoder.run(["h", "c"], {"letters": np.array([letters])})
    sign, text = START, ""
    for _ in range(LONGEST):
        scores, h, c = decoder.run(None, {"sign": np.array([[sign]]), "h_in": h, "c_in": c})
        sign = int(np.argmax(scores))
        if sign == END:
            break
        text += spelled([sign])
    return text


def spelled(letters: list[int]) -> str:
    return "".join(chr(ord("a") + k) if k < LETTERS else "?" for k in letters)


def linked(precision: Precision = "a16") -> Linked:
    files = HERE / "encoder.onnx", HERE / "decoder.onnx"
    return compile_linked(*files, LINKS, HERE / "calib.npz", Options(precision=precision), verify=False)


def program(package: Linked, folder: Path) -> Path:
    package.write(folder)
    names = (package.first.name, package.second.name)
    includes = ["-I.", *(f"-I{n}" for n in names)]
    run(["gcc", *WARNINGS, "-O2", *includes, HERE / "main.c", *(f"{n}/{n}.c" for n in names), "-o", "words"], folder)
    return folder / "words"


@pytest.mark.parametrize("precision", ["a16", "a8"])
def test_tokens_equal_those_of_onnxruntime(precision: Precision, tmp_path: Path) -> None:
    executable = program(linked(precision), tmp_path / "out")
    text = "\n".join(map(spelled, words())) + "\n"
    said = subprocess.run([executable], input=text, capture_output=True, text=True, check=True).stdout.splitlines()
    sessions = [onnxruntime.InferenceSession(str(HERE / f"{name}.onnx")) for name in ("encoder", "decoder")]
    wanted = [greedy(word, *sessions) for word in words()]
    right = sum(a == spelled(word)[::-1] for a, word in zip(wanted, words(), strict=True))
    assert right >= 0.95 * len(wanted), "the network has learnt nothing that could be compared"
    same = sum(a == b for a, b in zip(said, wanted, strict=True))
    assert same == len(wanted) if precision == "a16" else same >= 0.97 * len(wanted)
