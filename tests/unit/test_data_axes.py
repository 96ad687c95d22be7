"""Arrays with the file's own axes, and inputs that are given once a sequence."""

from __future__ import annotations

import numpy as np
import pytest

from rnnc.data import Frame, read_data
from tests.unit.test_data import Array, X, steps


@pytest.mark.parametrize(
    ("shape", "rank", "time", "frame"),
    [((2, 3, 7), 3, 2, (3,)), ((3, 7), 3, 2, (3,)), ((2, 1, 3, 7), 4, 3, (3,)), ((2, 1, 7, 3), 4, 2, (3,))],
)
def test_an_array_as_the_file_takes_it_is_turned_to_time_first(
    shape: tuple[int, ...], rank: int, time: int, frame: tuple[int, ...]
) -> None:
    x = steps(int(np.prod(shape)), 1).reshape(shape)
    batched = x if len(shape) == rank else x[None]
    data = read_data({"x": x}, [Frame("x", frame, frame, rank=rank, time=time)])
    right = np.moveaxis(batched, time, 1).reshape(-1, 7, 3)
    assert all(np.array_equal(a, b) for a, b in zip(data.sequences["x"], right, strict=True))
    assert any("as the file takes it" in note for note in data.notes)


def test_time_first_wins_where_both_fit() -> None:
    x = steps(3, 3).reshape(1, 3, 3)
    data = read_data({"x": x}, [Frame("x", (3,), (3,), rank=3, time=2)])
    assert np.array_equal(data.sequences["x"][0], x[0]) and not data.notes


ONCE = Frame("mode", (2,), (2,), per_sequence=True)


@pytest.mark.parametrize(
    ("arrays", "lengths"),
    [
        ({"x": steps(8, 3).reshape(2, 4, 3), "mode": steps(2, 2)}, [4, 4]),
        ({"x": steps(4, 3), "mode": steps(1, 2)}, [4]),
        ({"x": steps(4, 3), "mode": steps(1, 2)[0]}, [4]),
        ({"x": steps(6, 3), "mode": steps(2, 2), "lengths": np.array([4, 2])}, [4, 2]),
    ],
)
def test_what_the_file_takes_once_a_sequence_may_be_given_once_a_sequence(
    arrays: dict[str, Array], lengths: list[int]
) -> None:
    data = read_data(arrays, [X, ONCE])
    assert [len(m) for m in data.sequences["mode"]] == data.lengths == lengths
    for sequence, mode in zip(data.sequences["mode"], arrays["mode"].reshape(-1, 2), strict=True):
        assert np.array_equal(sequence, np.tile(mode, (len(sequence), 1)))


def test_what_is_given_at_each_step_stays_as_it_is() -> None:
    data = read_data({"x": steps(2, 3), "mode": steps(2, 2)}, [X, ONCE])
    assert np.array_equal(data.sequences["mode"][0], steps(2, 2))
