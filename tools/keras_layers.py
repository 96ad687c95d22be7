"""Keras layers and stacks through rnnc: exported, compiled, and compared with what Keras itself gives for the same inputs.

    python tools/keras_layers.py [NAME ...] [--write tests/support/keras.json]

Needs keras with TensorFlow and tf2onnx (pip install tensorflow-cpu keras tf2onnx) beside rnnc. ``--write`` stores the results,
which docs/supported.md shows (make golden). Exit 1 where the C is not the oracle.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("KERAS_BACKEND", "tensorflow")

import keras
import numpy as np
from keras import layers

import rnnc

STEPS, FEATURES, UNITS = 20, 3, 6
SEQUENCES = 24
FRAME = (4, 5)
"""Of what convolves within a frame: rows, columns."""
WORDS = 30


@dataclass(frozen=True)
class Case:
    """A model of sequences.

    Args:
        name: the layers, as Keras calls them.
        build: from the symbolic input, without its batch axis, to the output.
        shape: of the input: steps (None: open), and the frame.
        options: how it is compiled.
        batch: a fixed batch, for what keeps its state.
    """

    name: str
    build: Callable[[Any], Any]
    shape: tuple[int | None, ...] = (None, FEATURES)
    options: dict[str, Any] = field(default_factory=dict)
    batch: int | None = None

    @property
    def steps(self) -> int:
        """Steps of a sequence."""
        return self.shape[0] or STEPS

    def model(self) -> Any:
        """The Keras model, called once, as its exporter wants it."""
        words = len(self.shape) == 1
        x = layers.Input(self.shape, batch_size=self.batch, dtype="int32" if words else "float32", name="x")
        model = keras.Model(x, self.build(x))
        model(self.data(self.batch or 1))
        return model

    def data(self, sequences: int, seed: int = 0) -> Any:
        """Inputs ``[sequences, steps, *frame]``: slow noise, or words; the last steps are silent, which a mask leaves out."""
        rng = np.random.default_rng(seed)
        shape = (sequences, self.steps, *(size or 1 for size in self.shape[1:]))
        if len(shape) == 2:
            return rng.integers(0, WORDS, shape).astype(np.int32)
        noise = rng.standard_normal(shape)
        for t in range(1, self.steps):
            noise[:, t] = 0.7 * noise[:, t - 1] + 0.7 * noise[:, t]
        noise[:, self.steps - 3 :] = 0
        return noise.astype(np.float32)


def then(*parts: Any) -> Callable[[Any], Any]:
    """Layers in a chain, made anew."""

    def build(x: Any) -> Any:
        for part in parts:
            x = part()(x)
        return x

    return build


def state_of(layer: Callable[[], Any]) -> Callable[[Any], Any]:
    """The output and the states of a layer, joined."""
    return lambda x: layers.Concatenate()(layer()(x))


def encoder_decoder(x: Any) -> Any:
    """A decoder that starts from the encoder's state and reads the window again."""
    _, h, c = layers.LSTM(UNITS, return_state=True)(x)
    return layers.Dense(2)(layers.LSTM(UNITS, return_sequences=True)(x, initial_state=[h, c]))


def attention(kind: Any) -> Callable[[Any], Any]:
    """Attention of the last state to all steps."""

    def build(x: Any) -> Any:
        every, h = layers.GRU(UNITS, return_sequences=True, return_state=True)(x)
        query = layers.Reshape((1, UNITS))(h)
        return layers.Dense(2)(layers.Flatten()(kind()([query, every])))

    return build


def heads(x: Any) -> Any:
    """Self-attention over a window."""
    h = layers.LSTM(UNITS, return_sequences=True)(x)
    return layers.Dense(2)(layers.GlobalAveragePooling1D()(layers.MultiHeadAttention(2, 4)(h, h)))


def residual(x: Any) -> Any:
    """A causal convolution beside a recurrent layer."""
    h = layers.Conv1D(UNITS, 3, padding="causal", activation="relu")(x)
    return layers.Dense(2)(layers.Add()([h, layers.GRU(UNITS, return_sequences=True)(h)]))


def sequences(layer: Any, **options: Any) -> Callable[[], Any]:
    """A recurrent layer that gives every step."""
    return lambda: layer(UNITS, return_sequences=True, **options)


def dense() -> Any:
    """Two outputs a step."""
    return layers.Dense(2)


def cells() -> Any:
    """Two cells in one layer."""
    return layers.RNN([layers.GRUCell(UNITS), layers.LSTMCell(UNITS)], return_sequences=True)


WINDOW = {"window": STEPS}
FIXED = (STEPS, FEATURES)
ROWS = (None, *FRAME, 2)
COLUMNS = (None, FRAME[1], 2)


def of_words(**options: Any) -> Callable[[], Any]:
    """An embedding of row numbers."""
    return lambda: layers.Embedding(WORDS, 5, **options)


def both(layer: Any, merge_mode: str, *, every: bool) -> Callable[[], Any]:
    """A layer in both directions."""
    return lambda: layers.Bidirectional(layer(UNITS, return_sequences=every), merge_mode=merge_mode)


def each(layer: Callable[[], Any]) -> Callable[[], Any]:
    """A layer within every step."""
    return lambda: layers.TimeDistributed(layer())


def last(layer: Any, units: int = UNITS, **options: Any) -> Callable[[], Any]:
    """A recurrent layer that gives the last step."""
    return lambda: layer(units, **options)


def of(layer: Any, *arguments: Any, **options: Any) -> Callable[[], Any]:
    """Any layer."""
    return lambda: layer(*arguments, **options)


def recurrent_cases() -> list[Case]:
    """Recurrent layers in their forms."""
    lstm, gru, rnn = layers.LSTM, layers.GRU, layers.SimpleRNN
    plain = {"recurrent_activation": "hard_sigmoid", "unit_forget_bias": False}
    return [
        Case("LSTM", then(sequences(lstm), dense)),
        Case("LSTM, last step", then(last(lstm), dense)),
        Case("LSTM, return_state", state_of(last(lstm, return_state=True))),
        Case("LSTM, stateful", then(sequences(lstm, stateful=True), dense), FIXED, batch=1),
        Case("LSTM, unit_forget_bias=False, hard_sigmoid", then(sequences(lstm, **plain), dense)),
        Case("LSTM, dropout and recurrent_dropout", then(sequences(lstm, dropout=0.3, recurrent_dropout=0.3), dense)),
        Case("LSTM, unroll", then(sequences(lstm, unroll=True), dense), FIXED),
        Case("GRU", then(sequences(gru), dense)),
        Case("GRU, reset_after=False", then(sequences(gru, reset_after=False), dense)),
        Case("GRU, stateful", then(sequences(gru, stateful=True), dense), FIXED, batch=1),
        Case("SimpleRNN", then(sequences(rnn), dense)),
        Case("SimpleRNN, relu, last step", then(last(rnn, activation="relu"), dense)),
        Case("RNN of stacked cells", then(cells, dense)),
        Case("Bidirectional LSTM", then(both(lstm, "concat", every=True), dense), options=WINDOW),
        Case("Bidirectional GRU, merge_mode sum", then(both(gru, "sum", every=False), dense), options=WINDOW),
        Case("LSTM, go_backwards", then(sequences(lstm, go_backwards=True), dense), options=WINDOW),
        Case("ConvLSTM1D", then(of(layers.ConvLSTM1D, 2, 3, padding="same", return_sequences=True)), COLUMNS),
        Case("ConvLSTM2D", then(of(layers.ConvLSTM2D, 2, 3, padding="same", return_sequences=True)), ROWS),
    ]


def stacks() -> list[Case]:
    """Recurrent layers with what stands around them."""
    lstm, gru = sequences(layers.LSTM), sequences(layers.GRU)
    conv, separable = of(layers.Conv1D, 4, 3), of(layers.SeparableConv1D, 4, 3)
    within = then(each(of(layers.Conv1D, 3, 2)), each(layers.Flatten), lstm, dense)
    decoder = then(last(layers.LSTM, 4), of(layers.RepeatVector, STEPS), lstm, each(of(layers.Dense, FEATURES)))
    return [
        Case("two LSTM, LayerNormalization between", then(lstm, layers.LayerNormalization, lstm, dense)),
        Case("GRU, BatchNormalization", then(gru, layers.BatchNormalization, dense)),
        Case("Masking, LSTM", then(layers.Masking, lstm, dense)),
        Case("Masking, GRU, last step", then(layers.Masking, last(layers.GRU), dense)),
        Case("Embedding, GRU", then(of_words(), gru, dense), (None,)),
        Case("Embedding with mask_zero, LSTM", then(of_words(mask_zero=True), last(layers.LSTM), dense), (None,)),
        Case("GRU, TimeDistributed Dense", then(gru, each(dense)), FIXED),
        Case("GRU, TimeDistributed Dense, open length", then(gru, each(dense))),
        Case("TimeDistributed Conv1D, LSTM", within, (STEPS, *COLUMNS[1:])),
        Case("Conv1D causal, GRU, Add", residual),
        Case("Conv1D, MaxPooling1D, LSTM", then(conv, of(layers.MaxPooling1D, 2), lstm, dense), FIXED),
        Case(
            "ZeroPadding1D, SeparableConv1D, GRU", then(of(layers.ZeroPadding1D, (2, 0)), separable, gru, dense), FIXED
        ),
        Case("GRU, GlobalAveragePooling1D", then(gru, layers.GlobalAveragePooling1D, dense)),
        Case("GRU, GlobalMaxPooling1D", then(gru, layers.GlobalMaxPooling1D, dense)),
        Case("LSTM, RepeatVector, LSTM (autoencoder)", decoder, FIXED, WINDOW),
        Case("encoder, decoder from its state", encoder_decoder, FIXED, WINDOW),
        Case("GRU, Attention of the last state", attention(layers.Attention), FIXED, WINDOW),
        Case("GRU, AdditiveAttention of the last state", attention(layers.AdditiveAttention), FIXED, WINDOW),
        Case("LSTM, MultiHeadAttention", heads, FIXED, WINDOW),
    ]


def result(case: Case, folder: Path) -> dict[str, Any]:
    """What became of a case: the kind of its output, and how far C and float net are from Keras, or why it is refused."""
    keras.utils.set_random_seed(1)
    model, file = case.model(), str(folder / "model.onnx")
    for variable in model.trainable_variables:  # biases and scales are not as they start
        variable.assign(variable + 0.1 * np.random.default_rng(0).standard_normal(variable.shape).astype(np.float32))
    data = [case.data(SEQUENCES, seed) for seed in (1, 2)]
    shape = [keras.InputSpec(dtype="float32", shape=(case.batch, *case.shape))] if case.batch else None
    reset(model)
    try:
        model.export(file, format="onnx", verbose=False, input_signature=shape)
    except Exception as error:
        return {"refused": f"Keras does not export it: {str(error).strip().splitlines()[0]}"}
    recorded = np.stack([alone(model, x) for x in data[1]]) if case.batch else model.predict(data[1], verbose=0)
    try:
        return compared(file, case, data[0], data[1], recorded)
    except rnnc.RnncError as error:
        return {"refused": f"{error.what}. {error.hint}".strip()}


def reset(model: Any) -> None:
    """Set what layers keep from call to call to zero."""
    for layer in model.layers:
        if getattr(layer, "stateful", False):
            layer.reset_state()


def alone(model: Any, x: Any) -> Any:
    """What a model that keeps its state gives for one sequence."""
    reset(model)
    return model.predict(x[None], batch_size=1, verbose=0)[0]


def compared(file: str, case: Case, calibration: Any, test: Any, recorded: Any) -> dict[str, Any]:
    """Compile, and measure against what Keras gave."""
    options = rnnc.Options(name="model", **case.options)
    net = rnnc.load_net(file, options)
    (output,), (given,) = net.outputs, net.inputs
    arrays = {given.name: test, output.name: recorded}
    package = rnnc.build(file, {given.name: calibration}, options, test=arrays)
    report = package.report["verify"]
    (found,) = report["recorded"]
    return {
        "kind": output.kind,
        "keras_db": round(found["c_db"], 1),
        "onnxruntime_db": round(found["onnxruntime_db"], 1),
        "import": report["import_max_rel"],
        "exact": report["c_equals_oracle"],
    }


def main() -> None:
    """Run the cases that are named, or all, and print or store what became of them."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*")
    parser.add_argument("--write", type=Path)
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    rows = {}
    for case in [*recurrent_cases(), *stacks()]:
        if arguments.names and not any(name in case.name for name in arguments.names):
            continue
        with tempfile.TemporaryDirectory() as folder:
            rows[case.name] = result(case, Path(folder))
        flags = " ".join(f"--{k} {v}" for k, v in case.options.items())
        rows[case.name] = {"options": flags, **rows[case.name]}
        print(case.name, rows[case.name], flush=True)
    if arguments.write:
        packages = {name: version(name) for name in ("keras", "tensorflow-cpu", "tf2onnx", "onnxruntime")}
        content = {"date": datetime.now(UTC).date().isoformat(), "versions": packages, "rows": rows}
        arguments.write.write_text(json.dumps(content, indent=1) + "\n")
    sys.exit(int(not all(row.get("exact", "refused" in row) for row in rows.values())))


if __name__ == "__main__":
    main()
