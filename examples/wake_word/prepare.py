"""Synthesise the example's sound and write train.npz (for train.py; not committed), calib.npz, test.npz and audio.npz.

- train.npz: features of the streams that train.py learns from.
- calib.npz: features of the first of them, for ranges and the rounding of weights.
- test.npz: features of streams with voices and phrases that training never hears, and where in them what was said.
- audio.npz: the sound itself of one more such stream: the firmware turns it into features on its own.

``start`` and ``end`` are steps of 20 ms: the first that an utterance has a part in, and the first after its end.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from logmel import HOP, features
from speech import Stream, make_stream

HERE = Path(__file__).resolve().parent
SEED = 0
SECONDS = 5.0
TRAINING_STREAMS, CALIBRATION_STREAMS, TEST_STREAMS = 900, 20, 120
AUDIO_SECONDS = 20.0


def said(streams: list[Stream]) -> dict[str, NDArray[np.int64]]:
    """Utterances of all streams: number of the stream, first step, step after the last, and whether it is the wake phrase."""
    rows = [
        (i, u.start // HOP, -(-u.end // HOP), int(u.wake))
        for i, stream in enumerate(streams)
        for u in stream.utterances
    ]
    table = np.array(rows, dtype=np.int64)
    return dict(zip(("stream", "start", "end", "wake"), table.T, strict=True))


def write(path: Path, x: NDArray[np.int16], streams: list[Stream], name: str = "x") -> None:
    """Write streams of equal length and what was said in them."""
    rows = said(streams)
    np.savez_compressed(path, **{name: x}, **rows)
    count, wakes = len(rows["wake"]), int(rows["wake"].sum())
    print(
        f"{path.name}: {len(streams)} streams, {count} utterances, {wakes} to wake, {path.stat().st_size} bytes",
        flush=True,
    )


def main() -> None:
    rng = np.random.default_rng(SEED)
    test = [make_stream(SECONDS, True, rng) for _ in range(TEST_STREAMS)]
    write(HERE / "test.npz", np.stack([features(s.audio) for s in test]), test)
    audio = make_stream(AUDIO_SECONDS, True, rng)
    write(HERE / "audio.npz", audio.audio, [audio], "audio")
    train = [make_stream(SECONDS, False, rng) for _ in range(TRAINING_STREAMS)]
    x = np.stack([features(s.audio) for s in train])
    write(HERE / "train.npz", x, train)
    write(HERE / "calib.npz", x[:CALIBRATION_STREAMS], train[:CALIBRATION_STREAMS])


if __name__ == "__main__":
    main()
