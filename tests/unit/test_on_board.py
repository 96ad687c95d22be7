"""A network behind a serial line: what is compared, what damage does, and what is said of the wrong board."""

from __future__ import annotations

import os
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from rnnc.backend.program import Program
from rnnc.errors import MissingTool, UsageError, VerificationError
from rnnc.files import write_files
from rnnc.qnet import QNet
from rnnc.verification import board_line, serial_line
from rnnc.verification.on_board import run_on_board
from rnnc.verification.packets import Decoder, Packet
from tests.conftest import require
from tests.support.board import PseudoBoard, host_main
from tests.support.nets import draw, integers, to_integers
from tests.support.packages import WARNINGS, package, run


def served(program: Program, files: dict[str, str], folder: Path, counter: str = "DWT") -> list[Path]:
    """A program that serves a network on its stdin and stdout."""
    require("gcc")
    write_files(folder, {**files, "main.c": host_main([program.name], counter)})
    sources = [f"{program.name}.c", f"{program.name}_serial.c", "main.c"]
    run(["gcc", *WARNINGS, "-O1", "-I.", *sources, "-o", "board"], folder)
    return [folder / "board"]


def real(qnet: QNet, steps: int, lanes: int = 1) -> dict[str, list[np.ndarray]]:
    found = integers(qnet, steps * lanes)
    values = {v.name: qnet.formats[v.name].dequantize(found[v.name][:, 0]) for v in qnet.inputs}
    return {name: np.split(x, lanes) for name, x in values.items()}


@pytest.mark.parametrize("layers", [["gru_after", "dense"], ["conv", "lstm"], ["shift", "pool", "dense"]])
def test_a_board_has_the_oracle_s_bits(layers: list[str], tmp_path: Path) -> None:
    program, files = package(to_integers(draw(3, layers)), "fan")
    with PseudoBoard(served(program, files, tmp_path), tmp_path) as device:
        found = run_on_board(program, real(program.qnet, 20, 2), device)
    assert (found.steps, found.difference) == (40, "")
    assert found.cycles() == [{"core": "board", "min": 1000, "median": 1000, "max": 1000, "estimate": False}]
    assert found.milliseconds == 1.0


def test_damaged_bytes_are_sent_again_and_give_no_wrong_answer(tmp_path: Path) -> None:
    program, files = package(to_integers(draw(3, ["gru_after", "dense"])), "fan")
    noisy = PseudoBoard(served(program, files, tmp_path), tmp_path, noise=0.01, seed=7)
    with noisy as device:
        found = run_on_board(program, real(program.qnet, 300), device)
    assert (found.steps, found.difference) == (300, "")
    assert found.repeated > 30 and all(n.damaged > 30 for n in noisy.noise)


def test_a_board_whose_bits_differ_is_told(tmp_path: Path) -> None:
    program, files = package(to_integers(draw(3, ["gru_after", "dense"])), "fan")
    wrong = files["fan_serial.c"].replace("wrote = 1;", "wrote = 1; out_y_[0] = (int16_t)(out_y_[0] + 1);")
    with PseudoBoard(served(program, {**files, "fan_serial.c": wrong}, tmp_path), tmp_path) as device:
        found = run_on_board(program, real(program.qnet, 5), device)
    assert found.difference.startswith("output 'y', value 0: board [")


def test_another_network_is_named(tmp_path: Path) -> None:
    program, files = package(to_integers(draw(3, ["gru_after", "dense"])), "fan")
    other, _ = package(to_integers(draw(4, ["gru_after", "dense"])), "pump")
    with (
        PseudoBoard(served(program, files, tmp_path), tmp_path) as device,
        pytest.raises(
            VerificationError, match=r"runs another network: fan 0.1.0, FAN_MODEL_ID 0x\w{8}; this is pump, 0x"
        ),
    ):
        run_on_board(other, real(other.qnet, 5), device)


@pytest.mark.parametrize("noise", [0.0, 0.03])
def test_each_of_a_board_s_networks_is_served_by_its_id(noise: float, tmp_path: Path) -> None:
    """Whichever was served before; one that is not there is told with those that are."""
    made = [
        package(to_integers(draw(seed, ["gru_after"])), name) for seed, name in enumerate(("fan", "pump", "door"), 3)
    ]
    sources = [f"{p.name}{part}.c" for p, _ in made for part in ("", "_serial")]
    for _, files in made:
        write_files(tmp_path, files)
    write_files(tmp_path, {"main.c": host_main([p.name for p, _ in made], "DWT")})
    run(["gcc", *WARNINGS, "-O1", "-I.", *sources, "main.c", "-o", "board"], tmp_path)
    other, _ = package(to_integers(draw(9, ["gru_after"])), "bell")
    with PseudoBoard([tmp_path / "board"], tmp_path, noise, seed=3) as device:
        for k in (2, 0, 0, 1):
            found = run_on_board(made[k][0], real(made[k][0].qnet, 5), device)
            assert (found.steps, found.difference) == (5, "")
        with pytest.raises(
            VerificationError, match=r"other networks: .*fan 0.1.0, FAN_MODEL_ID 0x\w{8}.*; this is bell"
        ):
            run_on_board(other, real(other.qnet, 5), device)


@pytest.mark.parametrize(
    ("command", "said"), [("cat /dev/zero", "is not the firmware of a"), ("sleep 9", "nothing answers")]
)
def test_a_board_without_the_firmware_is_told(
    command: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(board_line, "GREETING_SECONDS", 0.2)
    monkeypatch.setattr(board_line, "PATIENCE", 0.1)
    program, _ = package(to_integers(draw(3, ["dense"])), "fan")
    with PseudoBoard(command.split(), tmp_path) as device, pytest.raises(MissingTool, match=said):
        run_on_board(program, real(program.qnet, 5), device)


@pytest.mark.parametrize(
    ("was", "becomes", "error", "said"),
    [
        ("RNNC_SERIAL_PROTOCOL 2", "RNNC_SERIAL_PROTOCOL 3", MissingTool, "speaks protocol 3, this rnnc 2"),
        ("line->begun = 1;", "line->begun = 0;", VerificationError, "has started anew"),
    ],
    ids=["another protocol", "a board that starts anew"],
)
def test_firmware_that_does_otherwise_is_told(
    was: str, becomes: str, error: type[Exception], said: str, tmp_path: Path
) -> None:
    program, files = package(to_integers(draw(3, ["dense"])), "fan")
    assert was in files["rnnc/serial.h"]
    command = served(program, {**files, "rnnc/serial.h": files["rnnc/serial.h"].replace(was, becomes)}, tmp_path)
    with PseudoBoard(command, tmp_path) as device, pytest.raises(error, match=said):
        run_on_board(program, real(program.qnet, 5), device)


@pytest.mark.parametrize(
    ("device", "baud", "said"),
    [
        ("nowhere", 115200, "No such file"),
        ("plain", 115200, "no serial port"),
        ("pty", 12345, "no rate of this system"),
    ],
)
def test_a_port_that_is_none_is_told(device: str, baud: int, said: str, tmp_path: Path) -> None:
    program, _ = package(to_integers(draw(3, ["dense"])), "fan")
    (tmp_path / "plain").write_text("")
    terminal, other = os.openpty()
    path = os.ttyname(other) if device == "pty" else str(tmp_path / device)
    with pytest.raises(UsageError, match=said):
        run_on_board(program, real(program.qnet, 5), path, baud)
    os.close(terminal)
    os.close(other)


def test_no_noise_makes_a_board_read_or_write_where_it_must_not(tmp_path: Path) -> None:
    """Random bytes, packets cut, joined and lengthened among them, under the sanitizers."""
    program, files = package(to_integers(draw(3, ["gru_after", "dense"])), "fan")
    served(program, files, tmp_path)
    sanitizers = ["-fsanitize=address,undefined", "-fno-sanitize-recover=all"]
    run(["gcc", "-O1", *sanitizers, "-I.", "fan.c", "fan_serial.c", "main.c", "-o", "board"], tmp_path)
    rng = np.random.default_rng(5)
    noise = b""
    for _ in range(2000):
        packet = Packet(
            str(rng.choice(list("HORSFx"))), int(rng.integers(4)), rng.bytes(int(rng.integers(40)))
        ).encoded()
        noise += packet[: int(rng.integers(1, 3 * len(packet)))] + rng.bytes(int(rng.integers(6)))
    done = subprocess.run([tmp_path / "board"], input=noise, check=False, capture_output=True)
    assert done.returncode == 0 and not done.stderr and len(Decoder().take(done.stdout)) > 500


def test_packets_survive_every_byte_and_noise_between_them() -> None:
    packets = [Packet("S", n, bytes(range(256)) * 2) for n in (0, 1, 0xC0DB, 0xFFFF)]
    line = b"\xdb\x00noise".join(p.encoded() for p in packets)
    for size in (1, 7, len(line)):
        decoder = Decoder()
        found = [p for k in range(0, len(line), size) for p in decoder.take(line[k : k + size])]
        assert [p for p in found if p] == packets and found.count(None) == len(packets) - 1


def test_a_microsecond_is_no_cycle() -> None:
    greeting = board_line.Greeting(1, "fan", "1.0.0", "micros", 1000000)
    assert not greeting.counts_cycles and replace(greeting, counter="DWT").counts_cycles


def test_a_device_that_takes_no_bytes_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serial_line, "STUCK", 0.1)
    line, device = os.openpty()
    try:
        with serial_line.SerialLine(os.ttyname(device)) as port, pytest.raises(UsageError, match="takes no bytes"):
            port.write(bytes(1 << 20))
    finally:
        os.close(line)
        os.close(device)
