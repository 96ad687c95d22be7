"""A thousand random recurrences that fade in float, compiled as by default: in integers they fade as well, or it is told."""

from __future__ import annotations

import pytest

from tests.support.recurrences import outcomes

COUNT, PARTS = 1000, 10
TOLD = 0.01
"""Share of those that may become unstable and be told."""


@pytest.mark.slow
@pytest.mark.parametrize("part", range(PARTS))
def test_a_thousand_stable_recurrences_are_stable_in_integers_or_told(part: int) -> None:
    size = COUNT // PARTS
    found = list(outcomes(range(part * size, (part + 1) * size)))
    assert not [o for o in found if o.lost]
    assert sum(o.told for o in found) <= TOLD * size
