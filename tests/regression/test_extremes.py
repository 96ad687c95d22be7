"""Arguments at the end of their range, where instruction sets once disagreed."""

from __future__ import annotations

import numpy as np
import pytest

from rnnc.net import Net, Output, Value
from rnnc.ops.rnn import Rnn
from rnnc.ops.units import QRecurrent
from rnnc.tracing import InitialState
from rnnc.verification.boards import BOARDS
from rnnc.verification.emulator import measure
from tests.support.nets import to_integers
from tests.support.packages import package
from tests.target.test_targets import need


@pytest.mark.target
@pytest.mark.parametrize("board", ["cortex-m0", "cortex-m4", "cortex-m55"])
def test_tanh_of_a_preactivation_beyond_2_to_the_30(board: str) -> None:
    """Twice that, as a signed number, is negative: the saturation of the DSP extension made an index of 0 of it."""
    need(board)
    weights = np.array([[25000.0], [-25000.0]])
    rnn = Rnn("rnn0", ("x",), ("y",), weights, np.zeros((2, 2)), np.zeros(2), InitialState(np.zeros(2)))
    qnet = to_integers(Net("wide", (Value("x", (1,)),), (rnn,), (Output("y", "y"),)))
    (op,) = qnet.ops
    assert isinstance(op, QRecurrent) and op.loops[0].ranges()[0].hi > 2**30
    assert measure(*package(qnet, target=board, steps=40), BOARDS[board]).equal
