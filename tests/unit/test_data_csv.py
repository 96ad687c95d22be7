"""CSV: which columns are the input, what separates them, and what is never guessed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rnnc.data import Data, Frame, read_data
from rnnc.errors import DataError

X = Frame("x", (3,), (3,))
SCALAR = Frame("x", (1,), ())
NUMBERS = [[1, 2, 3], [4, 5, 6]]


def read(text: str | bytes, folder: Path, *frames: Frame, also: tuple[str, ...] = ()) -> Data:
    """What a file of this content is for input x of three elements, unless others are given."""
    (folder / "a.csv").write_bytes(text.encode() if isinstance(text, str) else text)
    return read_data(folder / "a.csv", frames or [X], also)


def refused(text: str, folder: Path, *frames: Frame) -> DataError:
    with pytest.raises(DataError) as error:
        read(text, folder, *frames)
    assert error.value.exit_code == 4 and error.value.where.endswith("a.csv")
    return error.value


@pytest.mark.parametrize(
    "text",
    [
        "1,2,3\n4,5,6\n",
        "1,2,3\r\n4,5,6\r\n",
        "\r\n1,2,3\r\n\r\n4,5,6\r\n\r\n",
        "\ufeff1, 2, 3\n4, 5, 6\n",
        "1;2;3\n4;5;6",
        "1\t2\t3\n4\t5\t6\n",
        "1  2 3\n\n 4 5  6\n",
        '"1","2","3"\n"4","5","6"\n',
        "1,2,3,\n4,5,6,\n",
        "sep=;\n1;2;3\n4;5;6\n",
        "# a log of three axes\n1,2,3\n# a pause\n4,5,6\n",
        "1.0e0,+2,3.\n4,5,6\n",
    ],
)
def test_rows_of_as_many_numbers_as_the_input_takes(text: str, tmp_path: Path) -> None:
    data = read(text, tmp_path)
    assert data.sequences["x"][0].tolist() == NUMBERS and data.notes == []


@pytest.mark.parametrize(
    ("heading", "left_out"),
    [
        ("time,ax,ay,az", "time"),
        ("Timestamp,ax,ay,az", "Timestamp"),
        ("time (s),ax,ay,az", "time (s)"),
        ("time_ms,ax,ay,az", "time_ms"),
        ("index,ax,ay,az", "index"),
        ("Unnamed: 0,ax,ay,az", "Unnamed: 0"),
        (",ax,ay,az", "(no name)"),
        (",0,1,2", "(no name)"),
        ("t,ax,ay,az", "t"),
        ("sample,ax,ay,az", "sample"),
        ('"time","a, x","ay","az"', "time"),
        ('"time\n(s)","ax","ay","az"', "time (s)"),
        ("temperature,x0,x1,x2", "temperature"),
        ("battery,x[0],x[1],x[2]", "battery"),
        ("battery,X_1,X_2,X_3", "battery"),
        ("# time,ax,ay,az", "time"),
    ],
)
def test_a_heading_chooses_columns(heading: str, left_out: str, tmp_path: Path) -> None:
    data = read(f"{heading}\n0.0,1,2,3\n0.1,4,5,6\n", tmp_path)
    assert data.sequences["x"][0].tolist() == NUMBERS
    assert f"left out: {left_out}" in data.notes[0] and "are input x" in data.notes[0]


def test_columns_named_as_elements_are_taken_in_their_order(tmp_path: Path) -> None:
    assert read("x2,x0,clock,x1\n3,1,noon,2\n6,4,one,5\n", tmp_path).sequences["x"][0].tolist() == NUMBERS


def test_a_column_named_as_the_input(tmp_path: Path) -> None:
    data = read("rpm,x,valve\n1,7,a\n2,8,b\n", tmp_path, SCALAR)
    assert data.sequences["x"][0].tolist() == [7, 8] and "left out: rpm, valve" in data.notes[0]


def test_columns_that_are_left_out_may_hold_anything(tmp_path: Path) -> None:
    data = read("timestamp,ax,ay,az\n2026-11-27T06:41:36,1,2,3\n,4,5,6\n", tmp_path)
    assert data.sequences["x"][0].tolist() == NUMBERS


def test_a_heading_that_names_every_input_serves_several(tmp_path: Path) -> None:
    dt = Frame("dt", (), ())
    data = read("dt,x0,x1,x2\n0.5,1,2,3\n0.25,4,5,6\n", tmp_path, X, dt)
    assert data.sequences["x"][0].tolist() == NUMBERS and data.sequences["dt"][0].tolist() == [0.5, 0.25]
    assert "no column is called 'dt'" in refused("x0,x1,x2\n1,2,3\n", tmp_path, X, dt).what
    assert "models of one input" in refused("1,2,3,4\n", tmp_path, X, dt).what


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("1,2,3,4\n5,6,7,8\n", "line 1 has 4 columns; input 'x' takes 3 a step"),
        ("1,2\n3,4\n5,6\n", "line 1 has 2 columns; input 'x' takes 3 a step"),
        ("1,2,3,4,5,6\n", "line 1 has 6 columns"),
        ("a,b,c,d\n1,2,3,4\n", "the heading has 4 columns: a, b, c, d; input 'x' takes 3"),
        ("time,a,b\n1,2,3\n", "the heading has 2 columns without time: a, b; input 'x' takes 3"),
        ("x0,x1,x2,x3\n1,2,3,4\n", "the heading has 4 columns of input 'x', which takes 3"),
        ("x0,x1,x3\n1,2,3\n", "numbers the columns of 'x' 0, 1, 3"),
    ],
)
def test_a_wrong_number_of_columns_is_refused_with_what_would_be_right(text: str, what: str, tmp_path: Path) -> None:
    error = refused(text, tmp_path)
    assert what in error.what and ("x0, x1, x2" in error.hint or "numbers" in what)


def test_columns_are_never_read_as_time(tmp_path: Path) -> None:
    """Five rows of four numbers are no five recordings of a scalar."""
    assert "takes 1 a step" in refused("1,2,3,4\n" * 5, tmp_path, SCALAR).what


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("1,2,3\n3,x,4\n", "line 2: 'x' is not a number"),
        ("1,2,3\n3,,4\n", "line 2: column 2 is empty"),
        ("a,b,c\n\n1,2,3\n3,n/a,4\n", "line 4, column b: 'n/a' is not a number"),
        ("1,2,3\n3\n", "line 2 has 1 columns, the first row has 3"),
        ("a,b,c\n1,2\n", "line 2 has 2 columns, the heading has 3"),
        ("1,2,nan\n", "line 1: 'nan' is not finite"),
        ("1,2,3\n1,inf,3\n", "line 2: 'inf' is not finite"),
        ("1,2,1e39\n", "line 1: '1e39' is not finite as float32"),
        ("1,2,1_000\n", "line 1: '1_000' is not a number"),
        ("1,2,O.5\n3,4,5\n", "line 1: 'O.5' is not a number"),
        ("1,2," + "0" * 200_000 + "8\n", "line 1 cannot be read: field larger"),
        ("1,2,3\n1,2," + "z" * 100 + "\n", "line 2: a cell of 100 characters is not a number"),
        ('1,2,3\n1,2,"3\n', "line 2 cannot be read"),
        ("", "holds no numbers"),
        ("a,b,c\n", "holds no numbers"),
        ("\0\0\0\0", "holds no numbers"),
    ],
)
def test_a_bad_cell_is_named_by_its_line(text: str, what: str, tmp_path: Path) -> None:
    assert what in refused(text, tmp_path).what


@pytest.mark.parametrize(
    "text", ["1,5;-2,25;3\n0,5;1;2\n", "a;b;c\n1,5;-2,25;3\n0,5;1;2\n", "1,5\t-2,25\t3\n0,5\t1\t2\n"]
)
def test_decimal_commas_are_read_between_semicolons_and_tabs(text: str, tmp_path: Path) -> None:
    data = read(text, tmp_path)
    assert data.sequences["x"][0].tolist() == [[1.5, -2.25, 3], [0.5, 1, 2]]
    assert "commas are decimal: 1,5 is 1.5" in data.notes


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("1,5 2,5 3,5\n", "'5 2' is not a number"),
        ("1,5;2.5;3\n", "'2.5' has a decimal point, numbers before have a decimal comma"),
        ("1.234,5;2;3\n", "'1.234,5' is not a number"),
    ],
)
def test_decimal_commas_that_are_ambiguous_are_refused_with_the_reason(text: str, what: str, tmp_path: Path) -> None:
    error = refused(text, tmp_path)
    assert what in error.what
    assert "semicolons" in error.hint or ";" in text


def test_files_in_utf16_and_with_foreign_letters_in_the_heading(tmp_path: Path) -> None:
    text = "t\u00b0,ay,az\n1,2,3\n4,5,6\n"
    for encoding in ("utf-16", "utf-8", "latin-1"):
        assert read(text.encode(encoding), tmp_path).sequences["x"][0].tolist() == NUMBERS


@pytest.mark.parametrize(
    ("cells", "dtype"), [(("0", "2"), np.int64), (("0.0", "2.0"), np.float64), (("0,0", "2,5"), np.float64)]
)
def test_a_column_of_labels_is_kept_as_it_is_written(cells: tuple[str, str], dtype: Any, tmp_path: Path) -> None:
    data = read(f"ax;ay;az;label\n1;2;3;{cells[0]}\n4;5;6;{cells[1]}\n", tmp_path, also=("label",))
    (part,) = data.parts
    assert part.others["label"].dtype == dtype and part.others["label"].shape == (2,)


def test_columns_named_as_outputs_are_kept(tmp_path: Path) -> None:
    data = read("x0,x1,x2,y0,y1\n1,2,3,7,8\n4,5,6,9,10\n", tmp_path, also=("y",))
    assert data.parts[0].others["y"].tolist() == [[7, 8], [9, 10]]


def test_words_in_a_column_of_labels_are_told(tmp_path: Path) -> None:
    data = read("ax,ay,az,label\n1,2,3,walk\n4,5,6,run\n", tmp_path, also=("label",))
    assert data.parts[0].others == {} and "column label is left out" in data.notes[-1]


def test_a_frame_of_several_axes_is_a_row(tmp_path: Path) -> None:
    frame = Frame("x", (1, 3), (3,))
    assert read("1,2,3\n4,5,6\n", tmp_path, frame).sequences["x"][0].tolist() == NUMBERS
