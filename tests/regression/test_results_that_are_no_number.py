"""Recorded results that are NaN or infinite at every step once ended in an internal error."""

from __future__ import annotations

import numpy as np
import pytest

import rnnc
from rnnc.errors import DataError
from tests.conftest import require
from tests.support.small import recording, small


def test_results_none_of_which_is_a_number_are_refused() -> None:
    require("gcc")
    with pytest.raises(DataError, match="'y': no answer was compared at a step that has a recorded result"):
        rnnc.compile_model(small(), {"x": recording(20), "y": np.full((20, 2), np.nan)})
