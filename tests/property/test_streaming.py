"""One stream, however it is cut, saved, moved or interleaved: always the same bits."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rnnc.net import Net
from rnnc.qnet import QNet
from rnnc.streams import Stream, start_net, start_qnet, stream_qnet
from tests.support.nets import LAYERS, Array, draw_integers, integers, noise
from tests.support.packages import CRC, HEADER, Built, blob_of, package
from tests.support.strategies import float_nets, integer_nets

STEPS = 60
Case = tuple[QNet, Built]


def one_lane(inputs: Mapping[str, Array]) -> dict[str, Array]:
    return {k: v[:, 0] for k, v in inputs.items()}


def cuts(rng: np.random.Generator, steps: int) -> list[tuple[int, int]]:
    at = sorted({0, steps, *rng.integers(0, steps, 7).tolist()})
    return list(pairwise(at))


@pytest.fixture(scope="module", params=LAYERS)
def case(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Case:
    """A network of each kind of layer; the C is built once for all tests of this file."""
    qnet = draw_integers(77, (request.param,))
    return qnet, Built(*package(qnet), tmp_path_factory.mktemp("package"))


@settings(max_examples=15)
@given(float_nets(), st.integers(0, 99))
def test_chunks_in_float_equal_the_whole(net: Net, seed: int) -> None:
    data, rng = noise(net, STEPS, seed, lanes=2), np.random.default_rng(seed)
    whole, stream = start_net(net, 2), start_net(net, 2)
    expected = [whole.advance(data)["y"], whole.drain()["y"]]
    parts = [stream.advance({k: v[a:b] for k, v in data.items()})["y"] for a, b in cuts(rng, STEPS)]
    parts.append(stream.drain()["y"])
    assert np.allclose(np.concatenate(parts), np.concatenate(expected), rtol=0, atol=1e-12)


@settings(max_examples=15)
@given(integer_nets(), st.integers(0, 99))
def test_chunks_in_integers_equal_the_whole(qnet: QNet, seed: int) -> None:
    data, rng = integers(qnet, STEPS, seed, lanes=2), np.random.default_rng(seed)
    whole, stream = start_qnet(qnet, 2), start_qnet(qnet, 2)
    expected = whole.advance(data)["y"]
    parts = [stream.advance({k: v[a:b] for k, v in data.items()})["y"] for a, b in cuts(rng, STEPS)]
    assert np.array_equal(np.concatenate(parts), expected)
    now, then = (s.state if isinstance(s, Stream) else s.kept for s in (stream, whole))
    assert all(np.array_equal(now[k], then[k]) for k in then)


def test_lanes_are_separate_streams() -> None:
    qnet = draw_integers(2003)
    data = integers(qnet, STEPS, 3, lanes=3)
    together = stream_qnet(qnet, 3).advance(data)["y"]
    for lane in range(3):
        alone = stream_qnet(qnet).advance({k: v[:, lane : lane + 1] for k, v in data.items()})["y"]
        assert np.array_equal(alone[:, 0], together[:, lane])


def test_c_equals_the_oracle_at_every_step_state_included(case: Case) -> None:
    qnet, built = case
    data = integers(qnet, STEPS, 1)
    oracle, c = start_qnet(qnet), built.new()
    header = c.save()[:HEADER]
    for t in range(STEPS):
        expected = oracle.advance({k: v[t : t + 1] for k, v in data.items()})["y"]
        answer = c.step({k: v[t, 0] for k, v in data.items()})
        assert np.array_equal(answer.get("y", []), expected.ravel())
        assert c.save() == blob_of(built.program, oracle, {k: v[: t + 1] for k, v in data.items()}, header)
    assert np.array_equal(c.flush()["y"].ravel(), oracle.drain()["y"].ravel())


def test_saved_at_any_step_restored_elsewhere_it_goes_on_alike(case: Case) -> None:
    """From the blob before each step another stream, used before, gives that step's answer and the blob behind it."""
    qnet, built = case
    data = one_lane(integers(qnet, STEPS, 2))
    frames = [{k: v[t] for k, v in data.items()} for t in range(STEPS)]
    first, other = built.new(), built.new()
    other.run({k: v[::-1] for k, v in data.items()})
    for frame in frames:
        blob = first.save()
        assert other.restore(blob) == 0
        assert other.save() == blob
        here, there = first.step(frame), other.step(frame)
        assert here.keys() == there.keys()
        assert all(np.array_equal(here[k], there[k]) for k in here)
        assert other.save() == first.save()
    rest, others_rest = first.flush(), other.flush()
    assert all(np.array_equal(rest[k], others_rest[k]) for k in rest)


def test_a_copy_of_the_struct_goes_on_alike(case: Case) -> None:
    qnet, built = case
    data = one_lane(integers(qnet, STEPS, 3))
    first, second = built.new(), built.new()
    first.run({k: v[:20] for k, v in data.items()})
    second.memory[:] = first.memory
    rest = {k: v[20:] for k, v in data.items()}
    assert np.array_equal(first.run(rest)["y"], second.run(rest)["y"])


def test_reset_starts_a_new_stream(case: Case) -> None:
    qnet, built = case
    data = one_lane(integers(qnet, STEPS, 4))
    stream = built.new()
    fresh = stream.save()
    first = stream.run(data)["y"]
    stream.call("reset")
    assert stream.save() == fresh
    assert np.array_equal(stream.run(data)["y"], first)


def test_interleaved_streams_equal_separate_ones(case: Case) -> None:
    qnet, built = case
    data = integers(qnet, STEPS, 5, lanes=3)
    lanes = [{k: v[:, lane] for k, v in data.items()} for lane in range(3)]
    separate = [built.new().run(lane)["y"] for lane in lanes]
    streams = [built.new() for _ in lanes]
    rows: list[list[Array]] = [[] for _ in lanes]
    fed = [0] * len(lanes)
    order = np.random.default_rng(5).permutation(np.repeat(np.arange(3), STEPS))
    for lane in order:
        answer = streams[lane].step({k: v[fed[lane]] for k, v in lanes[lane].items()})
        fed[lane] += 1
        rows[lane] += answer.values()
    for lane in range(3):
        assert np.array_equal(np.array(rows[lane]).reshape(separate[lane].shape), separate[lane])


FOREIGN, TRUNCATED, CORRUPT = -1, -2, -3


def test_bad_blobs_are_refused_and_the_state_stays(case: Case) -> None:
    qnet, built = case
    stream = built.new()
    stream.run(one_lane(integers(qnet, 5, 6)))
    blob, memory = stream.save(), stream.memory.copy()

    def refused(bad: bytes) -> int:
        answer = stream.restore(bad)
        assert np.array_equal(stream.memory, memory)
        return answer

    for k in range(HEADER):  # the model's id and the version of rnnc are in it
        assert refused(blob[:k] + bytes([blob[k] ^ 1]) + blob[k + 1 :]) == FOREIGN
    for k in range(HEADER, len(blob)):
        assert refused(blob[:k] + bytes([blob[k] ^ 0x10]) + blob[k + 1 :]) == CORRUPT
    for n in {0, 1, HEADER - 1, HEADER, len(blob) - CRC, len(blob) - 1}:
        assert refused(blob[:n]) == TRUNCATED
    assert refused(blob + b"\0") == FOREIGN
    assert refused(bytes(len(blob))) == FOREIGN
    assert stream.restore(blob) == 0 and stream.save() == blob


@settings(max_examples=14, suppress_health_check=[HealthCheck.too_slow])
@given(integer_nets())
def test_random_networks_do_all_of_this(tmp_path_factory: pytest.TempPathFactory, qnet: QNet) -> None:
    built = Built(*package(qnet), tmp_path_factory.mktemp("package"))
    for holds in (
        test_c_equals_the_oracle_at_every_step_state_included,
        test_saved_at_any_step_restored_elsewhere_it_goes_on_alike,
        test_a_copy_of_the_struct_goes_on_alike,
        test_reset_starts_a_new_stream,
        test_interleaved_streams_equal_separate_ones,
        test_bad_blobs_are_refused_and_the_state_stays,
    ):
        holds((qnet, built))


def test_a_blob_of_another_network_is_foreign(tmp_path: Path) -> None:
    """Same sizes, same name, other weights."""
    first, second = (Built(*package(draw_integers(seed, ("rnn",)), "net"), tmp_path / str(seed)) for seed in (11, 12))
    assert second.new().restore(first.new().save().ljust(second.blob_len, b"\0")[: second.blob_len]) == FOREIGN


def test_states_are_read_and_set_by_name(tmp_path: Path) -> None:
    qnet = draw_integers(21, ("lstm", "gru_after"))
    built = Built(*package(qnet), tmp_path)
    header = Path(tmp_path / "net21.h").read_text()
    assert "net21_get_lstm0_h(const net21_t *s, int16_t lstm0_h[" in header
    data = one_lane(integers(qnet, 30, 7))
    first = built.new()
    first.run({k: v[:10] for k, v in data.items()})
    second = built.new()
    oracle = stream_qnet(qnet)
    oracle.advance({k: v[:10, None] for k, v in data.items()})
    for accessor, state, kind in (
        ("lstm0_h", "lstm0_h", np.int16),
        ("lstm0_c", "lstm0_c", np.int32),
        ("gru0_h", "gru0_s", np.int32),
    ):
        value = np.zeros(oracle.state[state].size, kind)
        first.call(f"get_{accessor}", value)
        assert value.tolist() == oracle.state[state].ravel().tolist()
        second.call(f"set_{accessor}", value)
    assert second.save() == first.save()
    rest = {k: v[10:] for k, v in data.items()}
    assert np.array_equal(first.run(rest)["y"], second.run(rest)["y"])


def test_setting_a_state_beyond_its_range_clips(tmp_path: Path) -> None:
    qnet = draw_integers(21, ("lstm", "gru_after"))
    built = Built(*package(qnet), tmp_path, ("-O1", "-fsanitize=undefined", "-fsanitize-undefined-trap-on-error"))
    stream = built.new()
    sizes = {s.alias: s.size for s in qnet.states() if s.alias}
    for value in (-(2**31), 2**31 - 1):
        for alias, limit in (("lstm0 c", 2**30), ("gru0 h", 32767 << 14)):
            accessor, state = alias.replace(" ", "_"), np.full(sizes[alias], value, np.int32)
            stream.call(f"set_{accessor}", state)
            stream.call(f"get_{accessor}", state)
            assert np.abs(state.astype(np.int64)).tolist() == [limit] * sizes[alias]
        stream.call("set_lstm0_h", np.full(sizes["lstm0 h"], -32768, np.int16))
        stream.run(one_lane(integers(qnet, 30, 8)))
