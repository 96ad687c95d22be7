"""rnnc from Python: what a notebook shows, models that are no files, streams by name, and scores after an epoch."""

from __future__ import annotations

import inspect
from dataclasses import fields
from functools import cache
from html import unescape
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import onnx
import pytest

import rnnc  # before onnxruntime, which it keeps from telling anyone

import onnxruntime  # isort: skip
from tests.support.small import FEATURES, recording, small


@pytest.fixture(scope="module")
def package() -> rnnc.Package:
    return rnnc.compile_model(small(), recording(), name="fan")


def test_dir_shows_what_there_is() -> None:
    assert dir(rnnc) == sorted(rnnc.__all__)
    assert all(getattr(rnnc, name).__doc__ for name in dir(rnnc) if name != "__version__")


def test_every_option_is_a_typed_keyword() -> None:
    parameters = inspect.signature(rnnc.compile_model).parameters
    for option in fields(rnnc.Options):
        assert parameters[option.name].kind is inspect.Parameter.KEYWORD_ONLY
        assert parameters[option.name].annotation is not inspect.Parameter.empty
    assert parameters["precision"].default == "a16"


def test_a_package_says_what_it_is(package: rnnc.Package) -> None:
    cost = package.report["cost"]
    assert f"fan: {package.flash} B of flash" in repr(package)
    assert f"{cost['ram_state'] + cost['ram_scratch']} B of RAM, good: " in repr(package)


def test_a_notebook_shows_the_report(package: rnnc.Package) -> None:
    shown = package._repr_html_()
    assert shown.startswith("<iframe srcdoc=") and shown.count('"') == 6
    assert unescape(shown.split('"')[1]) == package.files["report.html"]


def test_a_notebook_shows_what_a_report_holds_of_cost_and_accuracy(package: rnnc.Package) -> None:
    shown = package.report._repr_html_()
    assert f"<th>flash_weights</th><td>{package.report['cost']['flash_weights']}</td>" in shown
    assert f"<th>y, SQNR in dB</th><td>{package.report['verify']['outputs'][0]['sqnr_db']}</td>" in shown


def test_a_notebook_shows_the_net() -> None:
    net = rnnc.load_net(small())
    assert "LSTM 3 -&gt; 4" in net._repr_html_() and repr(net) == str(net)


def test_a_model_proto_is_a_model(package: rnnc.Package) -> None:
    again = rnnc.compile_model(onnx.load_from_string(small()), recording(), name="fan", verify=False)
    x = recording(seed=3)
    assert np.array_equal(again.simulate(x, "oracle")["y"], package.simulate(x, "oracle")["y"])


def test_what_is_no_model_is_told_what_is_one() -> None:
    with pytest.raises(rnnc.RnncError, match="a list is not a model") as told:
        rnnc.compile_model([1, 2])
    assert "ModelProto" in str(told.value)


def test_a_stream_gives_outputs_by_name(package: rnnc.Package) -> None:
    with package.stream("oracle") as stream:
        ticks = [stream.step({"x": frame})["y"] for frame in recording()[:5]]
    assert np.array_equal(np.concatenate(ticks), package.simulate(recording()[:5], "oracle")["y"].reshape(5, 2))


@pytest.mark.parametrize("engine", ["c", "oracle", "float"])
@pytest.mark.parametrize(
    ("frame", "message"),
    [
        (np.zeros(FEATURES), "a frame by the input's name is needed, not a ndarray"),
        ({"y": np.zeros(FEATURES)}, r"not y\n.*step\(\{'x': frame\}\)"),
        ({"x": np.zeros(2)}, r"'x' is \[2\] of float64; a frame is \[3\]"),
        ({"x": ["a", "b", "c"]}, "of <U1"),
        ({"x": [0.0, np.nan, 0.0]}, "'x' is not finite at 1"),
    ],
)
def test_a_step_says_what_is_no_frame(package: rnnc.Package, engine: Any, frame: Any, message: str) -> None:
    stream = package.stream(engine) if engine != "c" else _stream_of_c(package)
    with pytest.raises(rnnc.RnncError, match=message):
        stream.step(frame)


@cache
def _stream_of_c(package: rnnc.Package) -> Any:
    return package.stream()


def test_an_engine_that_does_not_stream_is_refused(package: rnnc.Package) -> None:
    with pytest.raises(rnnc.RnncError, match="'onnxruntime' does not stream"):
        package.stream("onnxruntime")  # type: ignore[arg-type]


# --------------------------------------------------------------------------- scores


def test_evaluation_of_a_file_is_told_what_a_package_is() -> None:
    with pytest.raises(rnnc.RnncError, match=r"a str is no package\n.*compile_model"):
        rnnc.evaluate("fan.onnx", recording())  # type: ignore[arg-type]


def _classes(package: rnnc.Package, x: Any, engine: Any) -> Any:
    return package.simulate(x, engine)["y"].reshape(len(x), -1, 2).argmax(2)


def test_evaluation_scores_the_integers_and_onnxruntime(package: rnnc.Package) -> None:
    x = np.stack([recording(seed=seed)[:40] for seed in range(6)])
    labels = _classes(package, x, "float")
    found = rnnc.evaluate(package, x, labels)
    assert found.steps == 240 and (found.sqnr_db["y"] or 0) > 40 and found.verdict.level == "good"
    assert found.task is not None and found.score is not None
    assert found.task.onnxruntime.accuracy == 1
    assert found.score.accuracy == np.mean(_classes(package, x, "oracle") == labels)
    assert "accuracy" in str(found) and "240 steps" in str(found)


def test_evaluation_of_values_is_an_rmse(package: rnnc.Package) -> None:
    x = recording()[:40]
    y = package.simulate(x, "oracle")["y"].reshape(40, 2)
    found = rnnc.evaluate(package, {"x": x}, y + 0.5)
    assert found.score is not None and found.score.rmse == pytest.approx(0.5)


def test_evaluation_without_labels_compares(package: rnnc.Package) -> None:
    found = rnnc.evaluate(package, [recording()[:30], recording()[:20]])
    assert found.task is None and found.score is None and found.steps == 50


def test_labels_of_a_recording_in_a_file_are_not_guessed(package: rnnc.Package) -> None:
    with pytest.raises(rnnc.RnncError, match="labels go with arrays"):
        rnnc.evaluate(package, "test.npz", np.zeros(3, int))


# --------------------------------------------------------------------------- frameworks


class Model:
    """What rnnc sees of a Keras model: what it answers, and what it exports."""

    __module__ = "keras.stand_in"

    def __init__(self, factor: float) -> None:
        self.factor = factor
        self.inputs = [SimpleNamespace(shape=(None, None, FEATURES), dtype="float32")]

    def predict(self, x: Any, verbose: int) -> Any:
        session = onnxruntime.InferenceSession(small(batch_first=True))
        return self.factor * session.run(None, {"x": x})[0]

    def export(self, file: str, **_: Any) -> None:
        Path(file).write_bytes(small(batch_first=True))


def test_a_keras_model_needs_no_example() -> None:
    assert "LSTM 3 -> 4" in str(rnnc.load_net(Model(1)))
    assert rnnc.compile_model(Model(1), recording(), verify=False).name == "model"


def test_an_export_that_computes_something_else_is_refused() -> None:
    with pytest.raises(rnnc.RnncError, match="gives another 'y' than the module"):
        rnnc.load_net(Model(1.01))


class Normalised(Model):
    """What Keras makes of a Normalization layer: its numbers are inputs of the file."""

    def export(self, file: str, **_: Any) -> None:
        model = onnx.ModelProto.FromString(small(batch_first=True))
        mean = onnx.helper.make_tensor_value_info("normalization/Sub/y:0", onnx.TensorProto.FLOAT, [1, 1, FEATURES])
        model.graph.input.append(mean)
        Path(file).write_bytes(model.SerializeToString())


def test_constants_that_an_export_makes_inputs_of_are_named() -> None:
    with pytest.raises(rnnc.RnncError, match="has not: normalization/Sub/y:0") as refused:
        rnnc.load_net(Normalised(1))
    assert "Rescaling" in refused.value.hint


def test_a_model_that_tells_no_shapes_needs_an_example() -> None:
    model = Model(1)
    model.inputs = []
    with pytest.raises(rnnc.RnncError, match="tells no shapes"):
        rnnc.load_net(model)
    assert rnnc.load_net(model, example=recording(9)[None]).inputs[0].shape == (FEATURES,)


def test_a_model_is_exported_to_a_file(tmp_path: Path) -> None:
    file = rnnc.export(Model(1), tmp_path / "fan.onnx")
    assert file.read_bytes() == small(batch_first=True)
    with pytest.raises(rnnc.RnncError, match="named after its layers"):
        rnnc.export(Model(1), file, outputs=["y"])
    with pytest.raises(rnnc.RnncError, match="a str is not a model"):
        rnnc.export("fan.onnx", file)


def test_a_torch_module_is_a_model() -> None:
    torch = pytest.importorskip("torch")
    pytest.importorskip("onnxscript")

    class Fan(torch.nn.Module):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.gru = torch.nn.GRU(FEATURES, 8, batch_first=True)
            self.dropout = torch.nn.Dropout(0.5)
            self.head = torch.nn.Linear(8, 2)

        def forward(self, x: Any) -> Any:
            return self.head(self.dropout(self.gru(x)[0]))

    torch.manual_seed(0)
    module = Fan()
    module.gru.eval()
    with pytest.raises(rnnc.RnncError, match="needs an input"):
        rnnc.compile_model(module)
    package = rnnc.compile_model(module, recording(), example=torch.zeros(1, 7, FEATURES))
    assert module.training and not module.gru.training
    assert package.name == "fan" and not package.cautions
    with torch.no_grad():
        wanted = module.eval()(torch.tensor(recording()[None]))[0].numpy()
    assert np.abs(package.simulate(recording(), "float")["linear"].reshape(wanted.shape) - wanted).max() < 1e-5
