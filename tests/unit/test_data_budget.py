"""Files of data that would take all time or memory are refused before they do, by what they would spend."""

from __future__ import annotations

import io
import os
import struct
import tracemalloc
import zipfile
from pathlib import Path

import numpy as np
import pytest
from numpy.lib import format as npy

from rnnc.data import archives, read_data, reading, tables
from rnnc.data.frames import MOST_NUMBERS, Frame
from rnnc.data.tables import csv_rows
from rnnc.errors import DataError

X = Frame("x", (3,), (3,))


def header(steps: int, dtype: str) -> bytes:
    stream = io.BytesIO()
    npy.write_array_header_1_0(stream, {"descr": dtype, "fortran_order": False, "shape": (steps, 3)})
    return stream.getvalue()


def test_small_elements_count_as_numbers(tmp_path: Path) -> None:
    """A byte each in the file, sixteen in memory."""
    steps, path = MOST_NUMBERS // 3 + 1, tmp_path / "x.npy"
    path.write_bytes(header(steps, "|i1"))
    os.truncate(path, path.stat().st_size + 3 * steps)
    with pytest.raises(DataError, match=f"holds {3 * steps:,} numbers; {MOST_NUMBERS:,} are read"):
        read_data(path, [X])


def test_the_same_array_twice_is_refused(tmp_path: Path) -> None:
    """Each would be decompressed."""
    path = tmp_path / "x.npz"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("x.npy", header(2, "<f4") + bytes(24))
        with pytest.warns(UserWarning, match="Duplicate"):
            archive.writestr("x.npy", header(2, "<f4") + bytes(24))
    with pytest.raises(DataError, match="holds the array 'x' twice"):
        read_data(path, [X])


def test_several_files_share_one_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "MOST_NUMBERS", 100)
    for k in range(3):
        np.save(tmp_path / f"{k}.npy", np.ones((20, 3)))
    with pytest.raises(DataError, match="120 numbers with the files before; 100 are read") as refused:
        read_data(tmp_path, [X])
    assert refused.value.where.endswith("1.npy")


def test_arrays_in_memory_have_no_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "MOST_NUMBERS", 100)
    assert read_data(np.ones((200, 3)), [X]).lengths == [200]


@pytest.mark.parametrize("content", ["1,2,3\n" * 40, "1,2,3\n" + "\n" * 120, "1,2,3\n" + "# a\n" * 120])
def test_lines_and_cells_of_csv_are_counted(content: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tables, "MOST_READ", 100)
    (tmp_path / "x.csv").write_text(content)
    with pytest.raises(DataError, match="more than 100 lines and cells") as refused:
        read_data(tmp_path / "x.csv", [X])
    assert "npy" in refused.value.hint


def test_a_live_stream_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tables, "MOST_READ", 100)
    assert sum(1 for _ in csv_rows(["1,2,3\n"] * 500, X, [])) == 500


def test_an_endless_line_is_not_read_to_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    class Endless(io.StringIO):
        def readline(self, size: int = -1, /) -> str:  # type: ignore[override]
            assert size == 101
            return "1" * size

    monkeypatch.setattr(tables, "MOST_CHARACTERS", 100)
    with pytest.raises(DataError, match="line 1 is longer than 100 characters"):
        tables.arrays_of(Endless(), [X], (), [])


def test_frames_that_overlap_count_each_sample_again(tmp_path: Path) -> None:
    samples = bytes(2 * (1 << 20))
    sound = b"fmt " + struct.pack("<IHHIIHH", 16, 1, 1, 8000, 16000, 2, 16)
    sound += b"data" + struct.pack("<I", len(samples)) + samples
    (tmp_path / "x.wav").write_bytes(b"RIFF" + struct.pack("<I", 4 + len(sound)) + b"WAVE" + sound)
    with pytest.raises(DataError, match="frames of 512 samples: more than"):
        read_data(tmp_path / "x.wav", [Frame("x", (512,), (512,), hop=1)])


@pytest.mark.parametrize("suffix", [".npy", ".npz"])
def test_a_long_header_is_refused_before_it_is_read(suffix: str, tmp_path: Path) -> None:
    """Compressed a thousandfold it takes gigabytes; no array needs one."""
    content, path = b"\x93NUMPY\x02\x00" + struct.pack("<I", 1 << 22) + b" " * (1 << 22), tmp_path / f"x{suffix}"
    if suffix == ".npy":
        path.write_bytes(content)
    else:
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("x.npy", content)
    tracemalloc.start()
    with pytest.raises(DataError, match="a header of 4,194,304 bytes, of 10,000 at most"):
        read_data(path, [X])
    assert tracemalloc.get_traced_memory()[1] < 1 << 21
    tracemalloc.stop()


@pytest.mark.parametrize("large", [True, False])
def test_an_archive_that_lists_too_much_is_not_opened(large: bool, tmp_path: Path) -> None:
    """zipfile reads the whole list, of any length: by its size, or because it takes ZIP64 to tell it."""
    locator = b"" if large else struct.pack("<4sIQI", b"PK\x06\x07", 0, 0, 1)
    size = (archives.MOST_DIRECTORY + 1) if large else 0xFFFFFFFF
    end = struct.pack("<4s4H2IH", b"PK\x05\x06", 0, 0, 0xFFFF, 0xFFFF, size, 0, 0)
    (tmp_path / "x.npz").write_bytes(bytes(99) + locator + end)
    with pytest.raises(DataError, match="many thousands of arrays"):
        archives.check_directory(tmp_path / "x.npz")


def test_sequences_are_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "MOST_SEQUENCES", 10)
    np.savez(tmp_path / "lengths.npz", x=np.ones((22, 3)), lengths=np.full(11, 2))
    np.savez(tmp_path / "stacked.npz", x=np.ones((11, 2, 3)))
    for name in ("lengths.npz", "stacked.npz"):
        with pytest.raises(DataError, match="holds 11 sequences; 10 are read"):
            read_data(tmp_path / name, [X])


def test_a_message_names_few_of_thousands_of_arrays(tmp_path: Path) -> None:
    np.savez(tmp_path / "many.npz", **{f"a{k}": np.ones((2, 5)) for k in range(200)})  # type: ignore[arg-type]
    with pytest.raises(DataError, match="170 more") as refused:
        read_data(tmp_path / "many.npz", [X])
    assert len(str(refused.value.what)) < 400


def test_a_label_past_64_bits_stays_a_number(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text(f"x_0,x_1,x_2,label\n1,2,3,{10**20}\n4,5,6,1\n")
    (part,) = read_data(tmp_path / "x.csv", [X], ["label"]).parts
    assert part.others["label"].tolist() == [1e20, 1.0]


@pytest.mark.filterwarnings("error")
def test_samples_past_float32_are_told_without_a_warning(tmp_path: Path) -> None:
    samples = struct.pack("<3d", 1e300, 0, 0)
    sound = b"fmt " + struct.pack("<IHHIIHH", 16, 3, 3, 8000, 192000, 24, 64)
    sound += b"data" + struct.pack("<I", len(samples)) + samples
    (tmp_path / "x.wav").write_bytes(b"RIFF" + struct.pack("<I", 4 + len(sound)) + b"WAVE" + sound)
    with pytest.raises(DataError, match="'x' is inf at"):
        read_data(tmp_path / "x.wav", [X])
