"""No string of a model reaches the C: whatever things are called, the code compiles and is the same but for the names."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

from rnnc.backend.emit import Banner, Golden, emit
from rnnc.backend.lower import lower
from rnnc.files import write_files
from rnnc.net import Net, Output, Value
from rnnc.qnet import QNet
from rnnc.streams import run_qnet
from rnnc.tracing import InitialState
from tests.support.nets import draw, integers, noise, to_integers
from tests.support.packages import WARNINGS, run

NAMES = [
    *(
        'a"b',
        "a\nb",
        "*/ int evil = 1; /*",
        "??/",
        "\\",
        "%s%n",
        "{{ x }}",
        "",
        "_",
        "\0",
        "\u202e\u2066",
        "ünïcode",
        "名前",
    ),
    *(
        "n" * 5000,
        "9",
        "int",
        "class",
        "inline",
        "_Bool",
        "__attribute__",
        "asm",
        "typeof",
        "NULL",
        "INT8_MAX",
        "INPUT",
        "I",
    ),
    *(
        "int16_t",
        "size_t",
        "memcpy",
        "rnnc_lstm",
        "RNNC_ROM",
        "fan_t",
        "fan_step",
        "fan_lstm0_p",
        "fan_lstm0_w",
        "FAN_X_LEN",
    ),
    *("saved",),
    *("s", "i", "k", "n", "step", "STEPS", "wrote", "count", "count_y", "in_x", "out_y", "q", "real", "blob", "work16"),
    *("lstm0_h", "lstm0_c", "gru0_s", "VERSION", "MODEL_ID", "errno", "linux", "y1", "index", "main", "frames", "left"),
]


def renamed(x: str, y: str, state: str) -> QNet:
    """An LSTM and a GRU: input ``x``, outputs ``y`` and ``y`` + " 2", state input ``state``."""
    net = draw(21, ("lstm", "gru_after"))
    first, second = net.ops
    h = InitialState(first.initial_h.value, state)  # type: ignore[attr-defined]
    ops = (replace(first, inputs=(x,), initial_h=h), second)  # type: ignore[call-arg]
    outputs = (Output(y, second.outputs[0]), Output(f"{y} 2", first.outputs[0]))
    fan = Net("fan", (Value(x, net.inputs[0].shape),), ops, outputs)
    return to_integers(fan, noise(fan, 16, 0))


def written(qnet: QNet, banner: Banner, name: str = "") -> dict[str, str]:
    data = integers(qnet, 3)
    golden = Golden({k: v[:, 0] for k, v in data.items()}, {k: v[:, 0] for k, v in run_qnet(qnet, data).items()})
    return emit(lower(qnet, name=name), golden, banner)


def compile_all(files: dict[str, str], prefix: str, folder: Path) -> None:
    includes = f'#include "{prefix}.h"\n#include "{prefix}_float.h"\n'
    sources = [f"{prefix}{part}.c" for part in ("", "_state", "_serial", "_selftest")]
    together = "".join(f'#include "{source}"\n' for source in sources)
    write_files(folder, {**files, "cpp.cpp": includes, "c.c": together + includes})
    run(["gcc", *WARNINGS, "-fsyntax-only", "-I.", "c.c"], folder)
    run(["g++", "-std=c++98", "-pedantic", "-Wall", "-Wextra", "-Werror", "-fsyntax-only", "cpp.cpp"], folder)


def code(files: dict[str, str]) -> list[str]:
    """The tokens of all files, without comments, with every identifier as one mark."""
    text = re.sub(r"/\*.*?\*/", "", "\n".join(files[k] for k in sorted(files)), flags=re.S)
    return re.sub(r"\b[A-Za-z_]\w*", "@", text).split()


def test_tensor_names(tmp_path: Path) -> None:
    """Input, output and state of the same hostile name at once."""
    neutral = code(written(renamed("x", "x", "x"), Banner()))
    for k, name in enumerate(NAMES):
        files = written(renamed(name, name, name or "h"), Banner())
        compile_all(files, "fan", tmp_path / str(k))
        assert code(files) == neutral, name


def test_model_names(tmp_path: Path) -> None:
    """The package's prefix comes from the file's name."""
    qnet = renamed("x", "y", "h")
    for k, name in enumerate([*NAMES, "int8", "string", "time", "stdint", "features", "key", "aux", "rnnc_lstm"]):
        program = lower(qnet, name=name or "-")
        assert re.fullmatch(r"[a-z][a-z0-9_]{0,45}", program.name)
        compile_all(written(qnet, Banner(), name or "-"), program.name, tmp_path / str(k))


def test_command_lines_in_the_banner(tmp_path: Path) -> None:
    qnet = renamed("x", "y", "h")
    everything = "\n".join(NAMES)
    files = written(qnet, Banner(f"rnnc compile '{everything}' --output q", "0" * 64, f"SQNR: {everything} 50 dB"))
    compile_all(files, "fan", tmp_path)
    assert code(files) == code(written(qnet, Banner()))
    assert all(text.isascii() for text in files.values())
    for name in NAMES:
        assert code(written(qnet, Banner(f"rnnc compile {name}"))) == code(written(qnet, Banner())), name
