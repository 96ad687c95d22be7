"""Units: inputs and outputs far from zero or of unlike ranges, channel by channel; outputs that are fed back as inputs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import rnnc
from rnnc.compiler import Compilation, compile_stages
from rnnc.errors import UsageError
from rnnc.fixed import Format
from rnnc.ops.offset import Offset
from rnnc.options import Options
from rnnc.package import Package
from rnnc.quantization.calibrate import calibrate
from rnnc.quantization.centre import centre_inputs, centre_outputs, middle, middles
from rnnc.streams import run_net, run_qnet, start_net, start_qnet
from rnnc.verification.metrics import sqnr_db
from tests.support.graphs import Builder
from tests.support.layers import squeezed
from tests.support.models import Array
from tests.support.nets import LAYERS, draw, noise
from tests.support.operators import check_c

MEAN, SPREAD = np.array([15.0, 101325.0, 0.5]), np.array([8.0, 300.0, 0.25])
"""Temperature in degrees, pressure in Pa, relative humidity."""
Reader = Callable[[Builder, str], str]


def weather(steps: int = 600) -> Array:
    """``[steps, 3]`` of a station."""
    rng, t = np.random.default_rng(0), np.arange(steps)
    waves = np.stack([np.sin(t / 15), np.sin(t / 127), np.sin(t / 15 + 1)], 1)
    return np.asarray(MEAN + SPREAD * (waves + 0.1 * rng.standard_normal((steps, 3))), np.float32)


def layer(kind: str, hidden: int = 16) -> Reader:
    """``[time, hidden]`` of a recurrent layer over ``[time, 1, 3]``."""

    def nodes(b: Builder, x: str) -> str:
        gates = {"LSTM": 4, "GRU": 3, "RNN": 1}[kind]
        w, r = (b.const(b.weights(1, gates * hidden, n, scale=0.3)) for n in (3, hidden))
        return squeezed(b, squeezed(b, b.ops(kind, 2, x, w, r, hidden_size=hidden)[0]))

    return nodes


def normalised(b: Builder, x: str) -> str:
    """What a network does with units inside."""
    return b.op("Div", b.op("Sub", x, b.const(MEAN)), b.const(SPREAD))


def head(b: Builder, h: str, columns: int = 16, gain: float | Array = 1.0, offset: float | Array = 0.0) -> str:
    """Three channels."""
    weights, bias = b.const(b.weights(columns, 3) * gain), b.const(np.zeros(3) + offset)
    return b.op("Add", b.op("MatMul", h, weights), bias)


def station(kind: str = "GRU", *, inside: bool) -> bytes:
    """A recurrent network that takes a station's units, or what is normalised."""
    b = Builder(3)
    z = normalised(b, "x") if inside else "x"
    return b.model({"x": ["time", 1, 3]}, [b.op("Identity", head(b, layer(kind)(b, z)), out="y")])


def decibels(made: Compilation, x: Array) -> list[float]:
    """SQNR of each channel of the integers against the net, for ``x [steps, *frame]``."""
    lanes = {v.name: x.reshape(len(x), 1, *v.shape).astype(np.float64) for v in made.net.inputs}
    r, q = run_net(made.net, lanes), made.qnet
    y = run_qnet(q, {n: q.formats[n].quantize(a) for n, a in lanes.items()})
    found = []
    for o in q.outputs:
        want, got = (a.reshape(len(a), -1) for a in (r[o.name], q.formats[o.value].dequantize(y[o.name])))
        found += [float(sqnr_db(want[:, k : k + 1], got[:, k : k + 1]) or 0.0) for k in range(want.shape[1])]
    return found


@pytest.mark.parametrize("kind", ["LSTM", "GRU", "RNN"])
def test_units_inside_a_network_cost_it_no_more_than_3_db(kind: str) -> None:
    x = weather()
    z = ((x - MEAN) / SPREAD).astype(np.float32)
    inside = decibels(compile_stages(station(kind, inside=True), x, Options()), x)
    outside = decibels(compile_stages(station(kind, inside=False), z, Options()), z)
    assert min(inside) >= 40 and np.mean(inside) >= np.mean(outside) - 3, (inside, outside)


def raw(b: Builder, x: str) -> str:
    """A network that was trained on raw units, as poorly as it could be: weights small where numbers are large."""
    return b.op("Mul", x, b.const(1 / np.maximum(np.abs(MEAN), 1)))


READERS: dict[str, tuple[Reader, int]] = {
    "dense": (lambda b, x: head(b, b.op("Tanh", head(b, normalised(b, x), 3)), 3), 0),
    "two kinds": (lambda b, x: b.op("Add", head(b, normalised(b, x), 3), b.op("Tanh", normalised(b, x))), 0),
    "slices": (
        lambda b, x: b.op("Concat", *b.ops("Split", 3, normalised(b, x), axis=2, num_outputs=3)[::-1], axis=2),
        0,
    ),
    "product": (lambda b, x: b.op("Mul", normalised(b, x), b.op("Sigmoid", normalised(b, x))), 0),
    "norm": (
        lambda b, x: b.op("LayerNormalization", normalised(b, x), b.const(np.ones(3)), b.const(np.zeros(3)), axis=-1),
        0,
    ),
    "convolution": (
        lambda b, x: b.op(
            "Conv", b.op("Transpose", normalised(b, x), perm=[1, 2, 0]), b.const(b.weights(3, 3, 4)), pads=[3, 0]
        ),
        0,
    ),
}


@pytest.mark.parametrize("name", READERS)
def test_whatever_reads_units_reads_them_well(name: str) -> None:
    b = Builder(5)
    y = READERS[name][0](b, "x")
    made = compile_stages(b.model({"x": ["time", 1, 3]}, [b.op("Identity", y, out="y")]), weather(), Options())
    assert min(decibels(made, weather())) >= 40


def test_a_convolution_without_padding_folds_offsets_by_channel() -> None:
    b = Builder(6)
    weights = b.weights(3, 3, 4) / SPREAD[:, None]
    bias = -(weights.sum(2) @ MEAN)
    y = b.op("Conv", b.op("Transpose", "x", perm=[1, 2, 0]), b.const(weights), b.const(bias))
    made = compile_stages(b.model({"x": ["time", 1, 3]}, [b.op("Identity", y, out="y")]), weather(), Options())
    assert not any(op.kind == "affine" for op in made.qnet.net.ops)
    assert min(decibels(made, weather())) >= 40


@pytest.mark.parametrize("seed", range(len(LAYERS)))
def test_an_offset_is_folded_exactly_whatever_reads_the_input(seed: int) -> None:
    """Every layer there is, in real numbers: with offsets taken from the data, and with one that the user names."""
    net = draw(seed, [list(LAYERS)[seed]], rows=False)
    x = {k: v + 30 + 10 * (np.arange(v.shape[-1]) % 2) for k, v in noise(net, 40 + 2 * net.window).items()}
    want = run_net(net, x)["y"]
    for options in (Options(), Options(input_affine={"x": (0.001, 30.0)})):
        centred = centre_inputs(net, {"x": [x["x"][:, 0]]}, options)
        assert run_net(centred, x)["y"] == pytest.approx(want, rel=1e-6, abs=1e-6)
    assert isinstance(centred.ops[0], Offset)


@pytest.mark.parametrize("seed", range(len(LAYERS)))
def test_outputs_far_from_zero_are_what_they_were(seed: int) -> None:
    net = draw(seed, [list(LAYERS)[seed], "dense"], rows=False)
    x = noise(net, 20 + 2 * net.window)
    lifted, _ = centre_outputs(net, calibrate(net, {"x": [x["x"][:, 0]]}, Options()), Options())
    assert run_net(lifted, x)["y"] == pytest.approx(run_net(net, x)["y"], rel=1e-6, abs=1e-6)


GAIN, OFFSET = np.array([300.0, 0.3, 10.0]), np.array([101325.0, 0.5, 20.0])


def forecast(**options: object) -> tuple[Compilation, Array]:
    """Pressure, humidity and temperature in one output."""
    b = Builder(14)
    model = b.model({"x": ["time", 1, 3]}, [b.op("Identity", head(b, layer("GRU")(b, "x"), 16, GAIN, OFFSET), out="y")])
    x = np.random.default_rng(1).standard_normal((600, 3)).astype(np.float32)
    data = None if options.pop("free", False) else x
    return compile_stages(model, data, Options(**options)), x  # type: ignore[arg-type]


def test_outputs_of_unlike_units_have_a_scale_each_and_their_offset() -> None:
    made, x = forecast()
    y = made.program.outputs[0].format
    assert min(decibels(made, x)) >= 40
    assert y.scale.size == 3 and y.scale[0] > 100 * y.scale[1] and abs(y.offset[0] - OFFSET[0]) < 300


def test_without_data_the_bounds_of_outputs_say_their_units() -> None:
    made, x = forecast(free=True)
    y = made.program.outputs[0].format
    assert y.scale.size == 3 and abs(y.offset[0] - OFFSET[0]) < 300 and min(decibels(made, x)) > 30


def test_one_scale_for_all_channels_where_that_is_asked() -> None:
    made, x = forecast(output_scale={"y": "common"})
    y = made.program.outputs[0].format
    assert y.uniform and not y.offset.any() and min(decibels(made, x)) < 0


def test_a_scale_each_where_that_is_asked() -> None:
    x = weather()
    z = ((x - MEAN) / SPREAD).astype(np.float32)
    by_itself = compile_stages(station(inside=False), z, Options())
    asked = compile_stages(station(inside=False), z, Options(output_scale={"y": "channel"}))
    assert by_itself.program.outputs[0].format.uniform and asked.program.outputs[0].format.scale.size == 3


def test_class_scores_have_one_scale_whatever_their_ranges() -> None:
    b = Builder(8)
    logits = head(b, layer("GRU")(b, "x"), 16, np.array([8.0, 0.1, 0.1]))
    model = b.model({"x": ["time", 1, 3]}, [b.op("LogSoftmax", logits, axis=-1, out="y")])
    x = np.random.default_rng(1).standard_normal((300, 3)).astype(np.float32)
    assert compile_stages(model, x, Options()).program.outputs[0].format.uniform


def test_heads_that_are_sliced_from_one_layer_have_units_of_their_own() -> None:
    b = Builder(9)
    y = head(b, layer("GRU")(b, "x"), 16, GAIN, OFFSET)
    one, two = (b.const(np.array([v])) for v in (1, 3))
    zero, last = b.const(np.array([0])), b.const(np.array([-1]))
    b.op("Slice", y, zero, one, last, out="pressure")
    b.op("Slice", y, one, two, last, out="others")
    x = np.random.default_rng(1).standard_normal((600, 3)).astype(np.float32)
    made = compile_stages(b.model({"x": ["time", 1, 3]}, ["pressure", "others"]), x, Options())
    pressure, others = (p.format for p in made.program.outputs)
    assert pressure.uniform and others.scale.size == 2 and abs(pressure.offset[0] - OFFSET[0]) < 300
    assert min(decibels(made, x)) >= 40


def test_channels_of_a_millionth_and_of_a_million() -> None:
    b = Builder(10)
    sizes = np.array([1e-6, 1e6, 1.0])
    z = b.op("Mul", "x", b.const(1 / sizes))
    y = b.op("Mul", head(b, layer("GRU")(b, z)), b.const(sizes))
    x = (np.random.default_rng(1).standard_normal((600, 3)) * sizes).astype(np.float32)
    made = compile_stages(b.model({"x": ["time", 1, 3]}, [b.op("Identity", y, out="y")]), x, Options())
    assert min(decibels(made, x)) >= 40


def test_a_channel_that_is_constant_in_calibration_is_exact_and_has_room() -> None:
    x = weather()
    x[:, 1] = 101325
    made = compile_stages(station(inside=True), x, Options())
    form = made.qnet.formats["x"]
    assert min(decibels(made, x)) >= 40 and form.dequantize(form.quantize(x[:1]))[0, 1] == 101325
    assert form.offset[1] == 101325 and 300 < form.scale[1] * 32767 < 100_000


def test_middles_are_short_numbers_of_channels_far_from_zero_alone() -> None:
    assert middle(np.array([101025.0, -1.0, 0.0, 7.0]), np.array([101611.0, 3.0, 1.0, 7.0])).tolist() == [
        101320,
        0,
        0,
        7,
    ]
    assert not middles(np.array([0.0, 0.0]), np.array([255.0, 100.0])).any()
    assert middles(np.array([0.0, 1e5]), np.array([1.0, 1.01e5])).tolist() == [0.5, 100500]


# --------------------------------------------------------------------------- what the user names


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("ends", [(-1e308, 1.5e308), (1e308, 1.7e308), (1e39, 1.1e39), (-np.inf, 0.0), (np.nan, 1.0)])
def test_what_no_float32_holds_is_no_middle(ends: tuple[float, float]) -> None:
    low, high = np.array(ends)[:, None]
    assert middle(low, high) == 0.0 and middles(low, high) == 0.0


def test_raw_counts_by_channel() -> None:
    affine = ((0.01, 0.02, 0.0001), (-40.0, 101325.0, 0.0))
    report = rnnc.compile_model(station(inside=True), weather(), verify=False, input_affine={"x": affine}).report
    assert report["inputs"][0]["scale"] == list(affine[0]) and report["inputs"][0]["offset"] == list(affine[1])
    made = compile_stages(station(inside=True), weather(), Options(input_affine={"x": affine}))
    assert min(decibels(made, weather())) >= 40


def test_ranges_by_channel_without_data() -> None:
    ends = tuple(MEAN - 1.5 * SPREAD), tuple(MEAN + 1.5 * SPREAD)
    made = compile_stages(station(inside=True), None, Options(input_range={"x": ends}))
    assert made.qnet.formats["x"].offset[1] == pytest.approx(101325, abs=50)
    assert min(decibels(made, weather())) >= 35


def test_too_few_channels_are_told() -> None:
    with pytest.raises(UsageError, match="2 numbers for shape"):
        compile_stages(station(inside=True), weather(), Options(input_affine={"x": ((1.0, 2.0), 0.0)}))
    with pytest.raises(UsageError, match="2 and 3 channels do not fit"):
        Options(input_affine={"x": ((1.0, 2.0), (1.0, 2.0, 3.0))})


def test_the_c_of_units_equals_the_oracle(tmp_path: Path) -> None:
    check_c(forecast()[0].qnet, tmp_path / "outputs")
    affine = Options(input_affine={"x": ((0.01, 0.02, 0.0001), (-40.0, 101325.0, 0.0))})
    check_c(compile_stages(station("LSTM", inside=True), weather(), affine).qnet, tmp_path / "inputs")


def test_header_and_helpers_tell_offsets(tmp_path: Path) -> None:
    package: Package = rnnc.compile_model(station(inside=True), weather(), verify=False, name="net")
    header, helpers = str(package.files["net.h"]), str(package.files["net_float.h"])
    assert "real = x[i] * net_x_scale[i] + net_x_offset[i] (net_float.h)" in header
    assert "net_from_real(real[i] - net_x_offset[i], net_x_scale[i], 0, -32767, 32767)" in helpers
    alone = Builder(11)
    model = alone.model({"x": ["time", 1]}, [alone.op("Identity", head(alone, "x", 1, 1.0, -900.0), out="y")])
    one = rnnc.compile_model(model, weather()[:, 1:2], verify=False, name="one").files
    assert "real = x * ONE_X_SCALE + ONE_X_OFFSET" in str(one["one.h"]) and "- 101310.0f" in str(one["one_float.h"])


# --------------------------------------------------------------------------- loops


def generator() -> bytes:
    """A network that answers with the next number, of which it can be fed its own."""
    b = Builder(12)
    w, r = b.const(b.weights(1, 36, 1)), b.const(b.weights(1, 36, 12, scale=0.4))
    h = squeezed(b, squeezed(b, b.ops("GRU", 2, "x", w, r, hidden_size=12)[0]))
    return b.model({"x": ["time", 1, 1]}, [b.op("MatMul", h, b.const(b.weights(12, 1, scale=0.3)), out="y")])


@pytest.mark.parametrize("formats", [{}, {"output_format": {"y": 13}, "input_format": {"x": 14}}])
def test_an_output_that_is_fed_back_runs_on_as_in_float(formats: dict[str, dict[str, int]]) -> None:
    x = 0.6 * np.sin(np.arange(800) / 6).astype(np.float32)[:, None]
    options = Options(**formats)  # type: ignore[arg-type]
    made = compile_stages(generator(), x, options)
    floats, integers = start_net(made.net), start_qnet(made.qnet)
    q, (port,) = made.qnet.formats["x"], made.program.outputs
    r, y = x[:40, None].astype(np.float64), q.quantize(x[:40, None])
    want, got = [], []
    for _ in range(300):
        r = floats.advance({"x": r})["y"][-1:]
        y = integers.advance({"x": y})["y"][-1:]
        want.append(float(r.squeeze()))
        got.append(float(port.format.dequantize(y).squeeze()))
        if formats:
            y = np.clip(y << 1, -32768, 32767)
        else:
            m, s = _ratio(port.format, q)
            y = np.clip((y * m + (1 << s >> 1)) >> s, -32768, 32767)
    assert np.std(want) > 0 and np.abs(np.array(got) - want).max() < 0.01


def _ratio(y: Format, x: Format) -> tuple[int, int]:
    """Multiplier and shift as the header has them."""
    ratio = float(y.scale[0] / x.scale[0])
    s = 14 - int(np.floor(np.log2(ratio)))
    return round(ratio * 2**s), s


def test_the_header_has_the_ratio_of_an_output_to_an_input() -> None:
    x = 0.6 * np.sin(np.arange(400) / 6).astype(np.float32)[:, None]
    asked = rnnc.compile_model(
        generator(), x, verify=False, name="gen", output_format={"y": 13}, input_format={"x": 14}
    )
    assert "#define GEN_Y_TO_X_SHIFT 1" in str(asked.files["gen.h"]) and "GEN_Y_FRAC 13" in str(asked.files["gen.h"])
    plain = rnnc.compile_model(generator(), x, verify=False, name="gen")
    m, s = _ratio(plain.program.outputs[0].format, plain.program.inputs[0].format)
    assert f"#define GEN_Y_TO_X_M {m}\n#define GEN_Y_TO_X_S {s}\n" in str(plain.files["gen.h"])


def test_any_output_has_the_format_that_is_asked() -> None:
    b = Builder(13)
    b.op("Identity", layer("LSTM")(b, "x"), out="y")
    x = np.random.default_rng(1).standard_normal((300, 3)).astype(np.float32)
    made = compile_stages(b.model({"x": ["time", 1, 3]}, ["y"]), x, Options(output_format={"y": 12}))
    assert made.program.outputs[0].format.fraction == 12 and np.mean(decibels(made, x)) >= 40
