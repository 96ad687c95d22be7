"""Folders, globs and lists: each recording by itself, in the same order every time."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest

from rnnc.data import Frame, read_data
from rnnc.errors import DataError

Array = np.ndarray[Any, Any]
X = Frame("x", (2,), (2,))
SCALAR = Frame("x", (1,), ())
IDS = Frame("ids", (), (), rows=50)


def recording(value: float, count: int = 3) -> Array:
    return np.full((count, 2), value, np.float32)


def firsts(sequences: list[Array]) -> list[float]:
    return [float(s.flat[0]) for s in sequences]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Recordings 1 .. 4 of 1 .. 4 steps in files of every kind, written in another order; and a file that is no data."""
    home = tmp_path / "walks"
    home.mkdir()
    (home / "d.csv").write_text("4,4\n" * 4)
    np.save(home / "b.npy", recording(2, 2))
    np.savez(home / "a.npz", x=recording(1, 1))
    (home / "a.npz").rename(home / "a.NPZ")
    np.savez(home / "c.npz", x=recording(3, 3))
    (home / "README.md").write_text("what this is")
    (home / ".hidden.csv").write_text("no numbers")
    return home


def test_a_folder_is_its_data_in_order(folder: Path) -> None:
    data = read_data(folder, [X])
    assert firsts(data.sequences["x"]) == [1, 2, 3, 4] and data.lengths == [1, 2, 3, 4]
    assert data.notes == [f"{folder}: 4 files, a.NPZ .. d.csv; README.md not read"]
    assert [Path(p.where).name for p in data.parts] == ["a.NPZ", "b.npy", "c.npz", "d.csv"]


def test_a_glob_is_what_it_matches_in_order(folder: Path) -> None:
    assert firsts(read_data(f"{folder}/[bd].*", [X]).sequences["x"]) == [2, 4]
    assert firsts(read_data(f"{folder.parent}/**/*.csv", [X]).sequences["x"]) == [4]


def test_a_name_with_brackets_that_exists_is_no_glob(tmp_path: Path) -> None:
    np.save(tmp_path / "a[1].npy", recording(5))
    assert firsts(read_data(tmp_path / "a[1].npy", [X]).sequences["x"]) == [5]


def test_a_list_of_paths_keeps_its_order(folder: Path) -> None:
    data = read_data([str(folder / "d.csv"), folder / "b.npy"], [X])
    assert firsts(data.sequences["x"]) == [4, 2] and data.arrangement == "stacked"


@pytest.mark.parametrize(
    ("path", "what"),
    [
        ("empty", "holds no .npz"),
        ("*.flac", "no file matches"),
        ("*.md", "matches a.md"),
        ("pipe", "not a regular file"),
        ("recordings", "no such file"),
    ],
)
def test_what_names_no_data_is_refused(path: str, what: str, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "a.md").write_text("")
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(DataError, match=what) as error:
        read_data(tmp_path / path, [X])
    assert error.value.where == str(tmp_path / path)


def test_an_empty_path_is_not_the_current_folder(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    with pytest.raises(DataError, match="path is empty"):
        read_data("", [X])
    assert len(read_data(".", [X]).lengths) == 4


def test_an_error_names_the_file_among_many(folder: Path) -> None:
    (folder / "bad.csv").write_text("1,2\n3,oops\n")
    with pytest.raises(DataError, match="line 2: 'oops'") as error:
        read_data(folder, [X])
    assert error.value.where == str(folder / "bad.csv")


def test_files_with_lengths_stay_concatenated(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", x=recording(1, 5), lengths=[2, 3])
    np.savez(tmp_path / "b.npz", x=recording(2, 4))
    data = read_data([tmp_path / "a.npz", tmp_path / "b.npz"], [X])
    assert data.lengths == [2, 3, 4] and data.arrangement == "concatenated"


# ------------------------------------------------------------------- from Python


def test_a_list_of_arrays_is_recordings_of_any_length() -> None:
    data = read_data([recording(1, 4), recording(2, 2)], [X])
    assert data.lengths == [4, 2] and firsts(data.sequences["x"]) == [1, 2]
    assert read_data([recording(1, 4), recording(2, 4)], [X]).lengths == [4, 4]


def test_lists_by_input_name() -> None:
    arrays: Any = {"x": [recording(1, 4), recording(2, 2)], "ids": [np.arange(4), np.arange(2)], "label": [7, 8]}
    data = read_data(arrays, [X, IDS], also=["label"])
    assert data.lengths == [4, 2] and data.sequences["ids"][1].tolist() == [0, 1]
    assert [int(p.others["label"]) for p in data.parts] == [7, 8]


def test_recordings_that_are_lists_of_numbers() -> None:
    named, unnamed = {"ids": [[1, 2, 3], [4, 5]]}, [[[1, 2], [3, 4]], [[5, 6]]]
    assert read_data(cast(Any, named), [IDS]).lengths == [3, 2]
    assert read_data(cast(Any, unnamed), [X]).lengths == [2, 1]


def test_a_list_of_frames_is_one_recording() -> None:
    assert read_data(list(recording(1, 5)), [X]).lengths == [5]
    assert read_data({"x": cast(Any, [0.5, 1.5, 2.5])}, [SCALAR]).lengths == [3]


def test_a_list_of_mappings() -> None:
    data = read_data([{"x": recording(1, 4)}, {"x": recording(2, 3)}], [X])
    assert data.lengths == [4, 3]


def test_lists_of_unlike_count_are_refused() -> None:
    with pytest.raises(DataError, match="'x' is a list of 2 recordings and 'ids' has 3 entries"):
        read_data({"x": [recording(1), recording(2)], "ids": np.arange(3)}, [X, IDS])


def test_a_bad_recording_is_named() -> None:
    with pytest.raises(DataError, match="recording 2 of the data: 'x' is"):
        read_data([recording(1), np.zeros((4, 5))], [X])
