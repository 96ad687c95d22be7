"""score.py: task metrics against numbers worked by hand."""

from __future__ import annotations

import numpy as np
import pytest

from rnnc.verification.score import chosen_classes, classes_score, clear_agreement, values_score


def test_accuracy_f1_and_confusion_of_three_classes() -> None:
    """Class 0: 2 of 3 found, 3 said: F1 2/3. Class 1: 1 of 2 found, 1 said: 2/3. Class 2: 1 of 1 found, 2 said: 2/3."""
    labels, said = np.array([0, 0, 0, 1, 1, 2]), np.array([0, 0, 2, 0, 1, 2])
    score = classes_score(labels, said, 3)
    assert score.accuracy == pytest.approx(4 / 6) and score.f1 == pytest.approx(2 / 3)
    assert score.confusion == [[2, 0, 1], [1, 1, 0], [0, 0, 1]]
    assert score.rmse is None and score.mae is None


def test_f1_counts_classes_that_are_there() -> None:
    """Class 0: F1 2/3; class 1, said once and never right: 0; classes 2 and 3 are nowhere: no part of the mean."""
    score = classes_score(np.array([0, 0]), np.array([0, 1]), 4)
    assert score.f1 == pytest.approx((2 / 3 + 0) / 2)
    assert score.confusion is not None and len(score.confusion) == 4


def test_many_classes_have_no_confusion() -> None:
    score = classes_score(np.array([0, 70_000]), np.array([0, 3]), 100_000)
    assert score.confusion is None and score.accuracy == 0.5 and score.f1 == pytest.approx(1 / 3)


def test_rmse_and_mae() -> None:
    score = values_score(np.array([[1.0, 2.0], [3.0, 4.0]]), np.array([[1.0, 4.0], [3.0, 4.0]]))
    assert score.rmse == pytest.approx(1.0) and score.mae == pytest.approx(0.5)
    assert score.accuracy is None and score.f1 is None and score.confusion is None


def test_the_class_that_an_answer_says() -> None:
    assert chosen_classes(np.array([[0.5], [0.51], [-3.0]]), 2).tolist() == [0, 1, 0]
    assert chosen_classes(np.array([[0.1, 0.3, 0.2], [0.4, 0.4, 0.1]]), 3).tolist() == [1, 0]
    assert chosen_classes(np.array([[7.0], [0.0]]), None).tolist() == [7, 0]
    two_positions = np.array([[0.1, 0.9, 0.8, 0.2]])
    assert chosen_classes(two_positions, 2).tolist() == [1, 0]


def test_agreement_where_the_reference_is_clear() -> None:
    """Margins 0.5, 0.1 (not above it), 0.05 and 2; of the two that are clear one agrees."""
    reference = np.array([[0.5, 0.0], [0.2, 0.1], [1.0, 1.05], [0.0, 2.0]])
    got = np.array([[1.0, 0.0], [0.0, 0.1], [1.0, 0.0], [3.0, 2.0]])
    assert clear_agreement(reference, got) == pytest.approx(1 / 2)
    assert clear_agreement(reference[2:3], got[2:3]) is None
    assert clear_agreement(reference[:, :1], got[:, :1]) is None
