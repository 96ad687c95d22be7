"""Calibration and test data: files and arrays become sequences of steps for each input.

    .npz         arrays named as the inputs; others are ignored with a note
    .npy         the one input of the model
    .csv, "-"    a row a step; a heading chooses columns ("-" is standard input)
    .wav         samples in [-1, 1), cut into frames of the input's size; they overlap where the hop is less

An array is ``[time, *frame]`` or ``[sequence, time, *frame]``; with an int array ``lengths`` it is concatenated sequences.
A frame is the input's shape without batch and time axes, ids have none: ``[time]``. Folders, globs and lists give several
files or arrays, each of which is a recording of its own (or several): the state starts anew in each.
"""

from rnnc.data.columns import only_frame
from rnnc.data.frames import LABEL, Arrangement, Array, Data, Frame, Part, Source
from rnnc.data.reading import read_data
from rnnc.data.tables import csv_rows

__all__ = [
    "LABEL",
    "Arrangement",
    "Array",
    "Data",
    "Frame",
    "Part",
    "Source",
    "csv_rows",
    "only_frame",
    "read_data",
]
