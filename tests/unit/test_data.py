"""rnnc.data and wav.py: files and arrays as sequences, and what is said of those that do not fit."""

from __future__ import annotations

import io
import re
import struct
import wave
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rnnc.data import Frame, read_data
from rnnc.errors import DataError
from rnnc.wav import read_wav

Array = np.ndarray[Any, Any]
X = Frame("x", (3,), (3,))
SCALAR = Frame("x", (1,), ())
IDS = Frame("ids", (), (), rows=10)


def steps(count: int, *shape: int) -> Array:
    return np.arange(count * int(np.prod(shape)), dtype=np.float32).reshape(count, *shape)


# ------------------------------------------------------------------- arrangements


def test_time_by_frame_is_one_sequence() -> None:
    data = read_data({"x": steps(5, 3)}, [X])
    assert data.lengths == [5] and data.arrangement == "one"
    assert np.array_equal(data.sequences["x"][0], steps(5, 3))


def test_sequence_by_time_by_frame_is_split() -> None:
    data = read_data({"x": steps(8, 3).reshape(2, 4, 3)}, [X])
    assert data.lengths == [4, 4] and data.arrangement == "stacked"
    assert np.array_equal(data.sequences["x"][1], steps(8, 3)[4:])


def test_lengths_split_concatenated_sequences() -> None:
    data = read_data({"x": steps(6, 3), "lengths": np.array([1, 3, 2])}, [X])
    assert data.lengths == [1, 3, 2] and data.arrangement == "concatenated"
    assert np.array_equal(data.sequences["x"][2], steps(6, 3)[4:])


@pytest.mark.parametrize("shape", [(5,), (5, 1)])
def test_a_scalar_input_takes_time_with_or_without_a_feature_axis(shape: tuple[int, ...]) -> None:
    assert read_data({"x": np.arange(5.0).reshape(shape)}, [SCALAR]).sequences["x"][0].shape == (5,)


@pytest.mark.parametrize("shape", [(2, 4), (2, 4, 1)])
def test_a_scalar_input_takes_sequences(shape: tuple[int, ...]) -> None:
    assert read_data({"x": np.arange(8.0).reshape(shape)}, [SCALAR]).lengths == [4, 4]


def test_an_axis_of_one_may_be_added() -> None:
    assert read_data({"x": steps(5, 1, 1, 3)}, [X]).lengths == [5]


def test_ids_are_time_or_sequences_of_time() -> None:
    assert read_data({"ids": np.array([1, 2, 3])}, [IDS]).sequences["ids"][0].dtype == np.int64
    assert read_data({"ids": np.array([[1, 2, 3], [4, 5, 6]])}, [IDS]).lengths == [3, 3]


def test_a_bare_array_is_the_only_input() -> None:
    assert read_data(steps(5, 3), [X]).lengths == [5]


def test_other_arrays_are_ignored_with_a_note() -> None:
    assert read_data({"x": steps(5, 3), "label": np.array([1])}, [X]).notes == ["ignored: label"]


def test_an_input_called_lengths_is_an_input() -> None:
    assert read_data({"lengths": steps(5, 3)}, [Frame("lengths", (3,), (3,))]).lengths == [5]


@pytest.mark.parametrize("shape", [(4, 1, 3), (4, 1, 1, 3)])
def test_a_batch_of_one_behind_time_is_left_out(shape: tuple[int, ...]) -> None:
    data = read_data({"x": steps(4, 3).reshape(shape)}, [X])
    assert data.lengths == [4] and np.array_equal(data.sequences["x"][0], steps(4, 3))


def test_one_feature_logged_as_a_column_is_time() -> None:
    """x of a step file is [1, 4], dt [1, 1]: its recording of 5 steps is [5, 1] or [5]."""
    wide, dt = Frame("x", (4,), (4,)), Frame("dt", (), ())
    for shape in ((5, 1), (5,), (5, 1, 1)):
        data = read_data({"x": steps(5, 4), "dt": steps(5).reshape(shape)}, [wide, dt])
        assert data.sequences["dt"][0].tolist() == [0, 1, 2, 3, 4]


def test_all_inputs_are_read_the_same_way() -> None:
    """[2, 5] alone is two sequences of a scalar; beside [2, 5, 3] it is those of x, beside [5, 3] nothing fits."""
    dt = Frame("dt", (), ())
    assert read_data({"x": steps(2, 5, 3), "dt": steps(2, 5)}, [X, dt]).lengths == [5, 5]
    with pytest.raises(DataError, match=r"'dt' has 10 steps in 2 sequences and 'x' has 5 .*\n.*give 'dt' as \[5\]"):
        read_data({"x": steps(5, 3), "dt": steps(2, 5)}, [X, dt])


# ------------------------------------------------------------------- what does not fit


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({}, "no array 'x'; it holds nothing"),
        ({"y": steps(2, 4)}, "no array 'x'; it holds 'y'"),
        ({"y": steps(2, 3), "z": steps(2, 3)}, "no array 'x'; it holds 'y', 'z'"),
        ({"label": steps(2, 3)}, "no array 'x'; it holds 'label'"),
        ({"x": steps(5, 4)}, r"a step has shape \[3\]"),
        ({"x": np.zeros((0, 3))}, "empty"),
        ({"x": np.array([["a", "b", "c"]])}, "not numbers"),
        ({"x": np.ones((5, 3)) * 1j}, "not numbers"),
        ({"x": np.array([[1.0, np.nan, 3.0]])}, r"nan at \[0, 1\]"),
        ({"x": np.array([[1.0, 2.0, np.inf]])}, "not finite"),
        ({"x": np.array([[1.0, 2.0, 1e300]])}, "not finite"),
        ({"x": steps(5, 3), "lengths": np.array([2, 2])}, "add up to 4 and 'x' has 5 steps"),
        ({"x": steps(5, 3), "lengths": np.array([5, 0])}, "above 0"),
        ({"x": steps(5, 3), "lengths": np.array([6, -1])}, "above 0"),
        ({"x": steps(5, 3), "lengths": np.array([5.0])}, "whole numbers"),
        ({"x": steps(5, 3), "lengths": np.array([], int)}, "whole numbers"),
        ({"x": steps(4, 3).reshape(2, 2, 3), "lengths": np.array([4])}, "concatenated"),
    ],
)
def test_bad_arrays_are_refused(arrays: dict[str, Array], message: str) -> None:
    with pytest.raises(DataError, match=message):
        read_data(arrays, [X])


@pytest.mark.parametrize("ids", [[-1], [10], [1.5]])
def test_ids_out_of_range_are_refused(ids: list[float]) -> None:
    with pytest.raises(DataError, match=r"whole numbers 0\.\.9"):
        read_data({"ids": np.array(ids)}, [IDS])


def test_ids_as_one_hot_rows_are_refused_with_the_shape_that_would_be_right() -> None:
    """They would be read as sequences of as many steps as the table has rows."""
    places = np.arange(40) % 10
    with pytest.raises(DataError, match=r"'ids' \[40, 10\] is one-hot") as refused:
        read_data({"ids": np.eye(10)[places]}, [IDS])
    assert "[40]: its argmax" in refused.value.hint
    assert read_data({"ids": np.tile(places, (2, 1))}, [IDS]).sequences["ids"][1].shape == (40,)


@pytest.mark.parametrize(
    ("shape", "hint"),
    [
        ((3, 40), r"get \[40, 3\]"),
        ((3,), r"One step is \[1, 3\]"),
        ((7, 2), r"Give \[time, 3\] or \[sequence, time, 3\]"),
    ],
)
def test_the_shape_that_would_be_right_is_told(shape: tuple[int, ...], hint: str) -> None:
    with pytest.raises(DataError) as error:
        read_data({"x": steps(*shape)}, [X])
    assert re.search(hint, error.value.hint)


def test_inputs_must_have_the_same_steps() -> None:
    with pytest.raises(DataError, match="'ids' has 4 steps in 1 sequence and 'x' has 5 steps in 1 sequence"):
        read_data({"x": steps(5, 3), "ids": np.arange(4)}, [X, IDS])


@pytest.mark.parametrize("name", ["a.npy", "a.csv", "a.wav"])
def test_what_holds_one_array_serves_one_input(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(b"1,2,3,4")
    with pytest.raises(DataError, match="models of one input; this one has 2: x, ids"):
        read_data(tmp_path / name, [X, IDS])


# ------------------------------------------------------------------- files


def test_npz(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", x=steps(6, 3), lengths=np.array([2, 4]))
    assert read_data(tmp_path / "a.npz", [X]).lengths == [2, 4]


def test_npy(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", steps(6, 3))
    assert read_data(str(tmp_path / "a.npy"), [X]).lengths == [6]


def test_stdin_is_csv(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("1,2,3\n"))
    assert read_data("-", [X]).lengths == [1]


@pytest.mark.parametrize("name", ["a.npz", "a.npy", "a.csv", "a.wav", "a.txt", "a"])
def test_a_missing_or_unknown_file_is_refused_by_name(name: str, tmp_path: Path) -> None:
    with pytest.raises(DataError) as error:
        read_data(tmp_path / name, [X])
    assert error.value.where == str(tmp_path / name)


@pytest.mark.parametrize("name", ["a.npz", "a.npy", "a.wav"])
@pytest.mark.parametrize(
    "content", [b"", b"nonsense", b"PK\x03\x04" + b"\0" * 40, b"RIFF\x10\0\0\0WAVEfmt \xff\xff\xff\xff"]
)
def test_damaged_files_are_refused(name: str, content: bytes, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError):
        read_data(tmp_path / name, [X])


@pytest.mark.parametrize("kind", ["npz", "npy", "wav", "csv"])
def test_files_with_flipped_bytes_are_read_or_refused(kind: str, tmp_path: Path) -> None:
    """Whatever a damaged file makes a library raise, the user is told what is wrong with the data."""
    rng, file = np.random.default_rng(0), tmp_path / f"a.{kind}"
    refused: list[str] = []
    if kind == "npz":
        np.savez_compressed(file, x=steps(40, 3), lengths=np.array([15, 25]))
    elif kind == "npy":
        np.save(file, steps(40, 3))
    elif kind == "wav":
        file.write_bytes(pcm(np.arange(60, dtype="<i2"), 2))
    else:
        file.write_text("time;x0;x1;x2\n" + "".join(f"{t};{t},5;-1e3;7\n" for t in range(20)))
    whole = file.read_bytes()
    for _ in range(100):
        damaged = bytearray(whole[: rng.integers(1, len(whole) + 1)] if rng.random() < 0.2 else whole)
        for at in rng.integers(0, min(len(damaged), int(rng.choice([64, 10_000]))), rng.integers(1, 6)):
            damaged[at] = rng.integers(0, 256)
        file.write_bytes(damaged)
        try:
            read_data(file, [X])
        except DataError as error:
            refused.append(error.where)
    assert len(refused) > 20 and set(refused) == {str(file)}


def test_a_truncated_npz_is_refused(tmp_path: Path) -> None:
    np.savez_compressed(tmp_path / "a.npz", x=steps(1000, 3))
    (tmp_path / "a.npz").write_bytes((tmp_path / "a.npz").read_bytes()[:-40])
    with pytest.raises(DataError):
        read_data(tmp_path / "a.npz", [X])


def test_pickles_are_not_read(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.array([{}], dtype=object), allow_pickle=True)
    with pytest.raises(DataError):
        read_data(tmp_path / "a.npy", [X])


def npy(header: str, version: bytes = b"\x01\0") -> bytes:
    size = struct.pack("<H" if version == b"\x01\0" else "<I", len(header))
    return b"\x93NUMPY" + version + size + header.encode()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            npy("{'descr': '<f4', 'fortran_order': False, 'shape': (1000000000000, 3)}"),
            "12,000,000,000,000 bytes; 0 follow",
        ),
        (npy("{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3)}") + b"\0" * 20, "24 bytes; 20 follow"),
        (npy("(" * 9000, b"\x02\0"), "not a readable"),
        (npy("{'descr': '<f4', 'shape': " + "9" * 5000 + "}"), "not a readable"),
        (npy("{'descr': '|O', 'fortran_order': False, 'shape': (2,)}"), "Python objects"),
        (npy("{}", b"\x07\0"), "not read here"),
    ],
)
def test_a_header_that_lies_allocates_nothing(content: bytes, message: str, tmp_path: Path) -> None:
    (tmp_path / "a.npy").write_bytes(content)
    with pytest.raises(DataError, match=message):
        read_data(tmp_path / "a.npy", [X])
    with zipfile.ZipFile(tmp_path / "a.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("x.npy", content)
    with pytest.raises(DataError, match=f"array 'x': .*{message}"):
        read_data(tmp_path / "a.npz", [X])


def test_text_for_an_array_is_refused_by_its_name(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        archive.writestr("x", "hello")
    with pytest.raises(DataError, match=r"array 'x': is not a readable \.npz file"):
        read_data(tmp_path / "a.npz", [X])


def test_arrays_that_are_not_asked_for_are_not_read(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        archive.writestr("bomb.npy", npy("{'descr': '<f4', 'fortran_order': False, 'shape': (10**12,)}"))
        stream = io.BytesIO()
        np.save(stream, steps(4, 3))
        archive.writestr("x.npy", stream.getvalue())
    data = read_data(tmp_path / "a.npz", [X])
    assert data.lengths == [4] and data.notes == ["ignored: bomb"]


def test_the_only_array_that_fits_is_the_only_input(tmp_path: Path) -> None:
    """Whatever its name: an exporter chose that of the input. Labels and results recorded are never taken for it."""
    arrays: dict[str, Any] = {
        "recordings": steps(8, 3).reshape(2, 4, 3),
        "label": steps(2, 3),
        "y": steps(8, 3),
        "gain": steps(5),
    }
    np.savez(tmp_path / "a.npz", **arrays)
    for source in (tmp_path / "a.npz", arrays):
        data = read_data(source, [X], ["y"])
        assert data.lengths == [4, 4] and np.array_equal(data.sequences["x"][1], arrays["recordings"][1])
        assert "array 'recordings' is input 'x'" in data.notes
    with pytest.raises(DataError, match="no array 'x'; it holds"):
        read_data(tmp_path / "a.npz", [X])


def test_an_array_of_another_name_as_the_file_takes_it(tmp_path: Path) -> None:
    """``[batch, channels, time]``, and concatenated sequences."""
    np.savez(tmp_path / "a.npz", steps(8, 3).T[None])
    assert read_data(tmp_path / "a.npz", [Frame("x", (3,), (3,), rank=3, time=2)]).lengths == [8]
    np.savez(tmp_path / "b.npz", walks=steps(8, 3), lengths=[3, 5])
    assert read_data(tmp_path / "b.npz", [X]).lengths == [3, 5]


def test_several_inputs_need_their_names(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", u=steps(8, 3), z=steps(8, 3))
    with pytest.raises(DataError, match="no array 'x'"):
        read_data(tmp_path / "a.npz", [X, Frame("z", (3,), (3,))])


@pytest.mark.parametrize(
    ("name", "hint"), [("a.xlsx", "Save the sheet as CSV"), ("a.txt", r"name it \.csv"), ("a.onnx", "It is a model")]
)
def test_files_that_are_not_read_are_told_what_to_become(name: str, hint: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(b"1 2 3")
    with pytest.raises(DataError) as caught:
        read_data(tmp_path / name, [X])
    assert re.search(hint, caught.value.hint)


def test_arrays_by_columns_and_of_either_byte_order(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.asfortranarray(steps(6, 3)).astype(">f8"))
    assert np.array_equal(read_data(tmp_path / "a.npy", [X]).sequences["x"][0], steps(6, 3))


def test_swapped_suffixes_are_named(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", x=steps(1, 3))
    (tmp_path / "a.npz").rename(tmp_path / "b.npy")
    with pytest.raises(DataError, match="archive"):
        read_data(tmp_path / "b.npy", [X])
    np.save(tmp_path / "c.npy", steps(1, 3))
    (tmp_path / "c.npy").rename(tmp_path / "c.npz")
    with pytest.raises(DataError, match="bare array"):
        read_data(tmp_path / "c.npz", [X])


# ------------------------------------------------------------------- WAV


def pcm(samples: Array, width: int, channels: int = 1) -> bytes:
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as w:
        w.setnchannels(channels)
        w.setsampwidth(width)
        w.setframerate(16000)
        w.writeframes(samples.tobytes())
    return buffer.getvalue()


def test_wav_of_16_bits_is_scaled_to_one() -> None:
    assert read_wav(pcm(np.array([-32768, 0, 16384], "<i2"), 2)).ravel().tolist() == [-1, 0, 0.5]


def test_wav_of_8_24_and_32_bits() -> None:
    assert read_wav(pcm(np.array([0, 128, 192], np.uint8), 1)).ravel().tolist() == [-1, 0, 0.5]
    raw = np.array([[0, 0, 0x80], [0, 0, 0], [0, 0, 0x40]], np.uint8)
    assert read_wav(pcm(raw, 3)).ravel().tolist() == [-1, 0, 0.5]
    assert read_wav(pcm(np.array([-(2**31), 0, 2**30], "<i4"), 4)).ravel().tolist() == [-1, 0, 0.5]


@pytest.mark.parametrize("extensible", [False, True])
def test_wav_of_floats(extensible: bool) -> None:
    samples = np.array([0.25, -0.5], "<f4").tobytes()
    fmt = struct.pack("<HHIIHH", 0xFFFE if extensible else 3, 1, 16000, 64000, 4, 32)
    if extensible:
        fmt += struct.pack("<HHIH", 22, 32, 0, 3) + b"\0" * 14
    chunks = b"fmt " + struct.pack("<I", len(fmt)) + fmt + b"LIST\3\0\0\0abc\0data" + struct.pack("<I", 8) + samples
    assert read_wav(b"RIFF\0\0\0\0WAVE" + chunks).ravel().tolist() == [0.25, -0.5]


def test_wav_is_cut_into_frames_and_the_rest_is_dropped(tmp_path: Path) -> None:
    (tmp_path / "a.wav").write_bytes(pcm(np.arange(8, dtype="<i2"), 2))
    data = read_data(tmp_path / "a.wav", [X])
    assert data.lengths == [2] and "last 2 samples" in data.notes[0]


def test_wav_channels_may_be_the_frame(tmp_path: Path) -> None:
    (tmp_path / "a.wav").write_bytes(pcm(np.arange(9, dtype="<i2"), 2, channels=3))
    assert read_data(tmp_path / "a.wav", [X]).lengths == [3]
    (tmp_path / "b.wav").write_bytes(pcm(np.arange(8, dtype="<i2"), 2, channels=2))
    with pytest.raises(DataError, match="2 channels"):
        read_data(tmp_path / "b.wav", [X])
