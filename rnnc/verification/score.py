"""Scores: how well answers fit labels, and how far results are from recorded ones. Arithmetic alone."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rnnc.fixed import Floats, Ints
from rnnc.verification.matching import Each

THRESHOLD = 0.5
"""Above it the only column of an output says class 1, in real units."""
MOST_CLASSES = 64
"""A confusion matrix of more classes is left out."""
CLEAR = 0.1
"""By how much the largest column must be above the second for an answer to be clear, in real units."""


@dataclass(frozen=True)
class Score:
    """How well answers fit labels: classes by accuracy, macro F1 and confusion ``[label][answer]``, values by RMSE and MAE.

    None for what is not of their kind.
    """

    accuracy: float | None = None
    f1: float | None = None
    confusion: list[list[int]] | None = None
    rmse: float | None = None
    mae: float | None = None


@dataclass(frozen=True)
class Task:
    """Labels of one output, and how well both do.

    Args:
        labels: the array that holds them.
        each: what one label is for.
        points: how many answers were scored.
        classes: how many there are; None where labels are values.
    """

    output: str
    labels: str
    each: Each
    points: int
    classes: int | None
    onnxruntime: Score
    c: Score


@dataclass(frozen=True)
class Recorded:
    """SQNR (dB) of onnxruntime and of the C against recorded results of one output; None where there is no signal."""

    name: str
    points: int
    onnxruntime_db: float | None
    c_db: float | None


def chosen_classes(values: Floats, classes: int | None) -> Ints:
    """The class that each answer ``[n, size]`` says: the largest column, the only one above a half, or the number itself."""
    if classes is None:
        return values.astype(np.int64).ravel()
    if values.shape[1] == 1:
        return (values[:, 0] > THRESHOLD).astype(np.int64)
    return np.asarray(values.reshape(-1, classes).argmax(1))


def classes_score(labels: Ints, said: Ints, classes: int) -> Score:
    """Accuracy, F1 (the mean over all classes that are among the labels or the answers) and confusion."""
    present = np.union1d(labels, said)
    f1 = [2 * np.sum((labels == c) & (said == c)) / (np.sum(labels == c) + np.sum(said == c)) for c in present]
    confusion = None
    if classes <= MOST_CLASSES:
        confusion = np.zeros((classes, classes), np.int64)
        np.add.at(confusion, (labels, said), 1)
    shown = None if confusion is None else confusion.tolist()
    return Score(float(np.mean(labels == said)), float(np.mean(f1)), shown)


def values_score(truth: Floats, got: Floats) -> Score:
    """RMSE and MAE over all elements."""
    error = got - truth
    return Score(rmse=float(np.sqrt(np.mean(error**2))), mae=float(np.mean(np.abs(error))))


def clear_agreement(reference: Floats, got: Floats) -> float | None:
    """Share of answers with the largest column in the same place, of those where the reference's is clear; None for none."""
    if reference.shape[1:] < (2,):
        return None
    top = np.sort(reference, 1)[:, -2:]
    with np.errstate(invalid="ignore"):
        clear = top[:, 1] - top[:, 0] > CLEAR
    return float(np.mean((reference.argmax(1) == got.argmax(1))[clear])) if clear.any() else None
