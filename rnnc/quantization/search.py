"""Several builds with jittered row scales; the one with the least error on the calibration data is kept."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np

from rnnc.net import Net
from rnnc.options import Options, ProgressCallback, no_progress
from rnnc.qnet import QNet
from rnnc.quantization.calibrate import Ranges, Sequences, lanes_of, noise_sequences
from rnnc.quantization.quantize import quantize
from rnnc.quantization.survey import alike, within
from rnnc.quantization.wide_rows import IsWide
from rnnc.streams import run_net, run_qnet


def search(
    net: Net,
    ranges: Ranges,
    calibration: Sequences | None,
    options: Options,
    is_wide: IsWide,
    fine: frozenset[str],
    progress: ProgressCallback = no_progress,
) -> QNet:
    """The best of ``options.search`` builds, the first of them without jitter; on noise where there is no data."""
    sequences = calibration if calibration is not None else noise_sequences(net, ranges)
    builds = (quantize(net, ranges, options, jitter=k, is_wide=is_wide, fine=fine) for k in range(options.search))
    return best(net, _with_progress(builds, options.search, progress), alike(net, sequences))


def _with_progress(builds: Iterable[QNet], count: int, progress: ProgressCallback) -> Iterator[QNet]:
    for k, build in enumerate(builds):
        yield build
        progress(k + 1, count)


def best(net: Net, builds: Iterable[QNet], sequences: Sequences) -> QNet:
    """The build whose outputs differ least from the net's, each output's error weighed by its variance."""
    lanes, lengths = lanes_of(net, sequences)
    reference = run_net(net, lanes)

    def error(qnet: QNet) -> float:
        got = run_qnet(qnet, {v.name: qnet.formats[v.name].quantize(lanes[v.name]) for v in net.inputs})
        formats, total = {o.name: qnet.formats[o.value] for o in qnet.outputs}, 0.0
        for o in net.outputs:
            valid = within(net, o, len(reference[o.name]), lengths)
            form = formats[o.name]
            r, y = (form.counts(x)[valid] for x in (reference[o.name], form.dequantize(got[o.name])))
            total += float(np.mean((y - r) ** 2) / (np.var(r) + 1e-30))
        return total

    return min(builds, key=error)


class Yardstick:
    """What a net says on some sequences, for builds to be held against."""

    def __init__(self, net: Net, sequences: Sequences) -> None:
        self.net = net
        self.lanes, self.lengths = lanes_of(net, sequences)
        self.outputs = run_net(net, self.lanes)

    def channel_errors(self, build: QNet) -> list[float]:
        """Of each channel that varies in real outputs: the mean square of the integers' error over the variance."""
        got = run_qnet(build, {v.name: build.formats[v.name].quantize(self.lanes[v.name]) for v in build.inputs})
        found: list[float] = []
        for o, q in zip(self.net.outputs, build.outputs, strict=True):
            if self.net.values[o.value].dtype == "index":
                continue
            valid = within(self.net, o, len(self.outputs[o.name]), self.lengths)
            if not valid.any():
                continue
            r, y = (
                x[valid].reshape(int(valid.sum()), -1)
                for x in (self.outputs[o.name], build.formats[q.value].dequantize(got[o.name]))
            )
            error, power = ((y - r) ** 2).mean(0), r.var(0)
            found += (error[power > 0] / power[power > 0]).tolist()
        return found
