"""Random networks under sanitizers, and damaged blobs: the bits equal to the oracle's, nothing accepted that is not whole."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cache
from itertools import islice
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory

from assurance.rederive import faults
from assurance.store import Outcome
from rnnc.errors import Refused
from rnnc.qnet import QNet
from rnnc.quantization.certify import certify
from tests.property.test_sanitizers import FLAGS, MEMORY, stream_under_sanitizers
from tests.support.nets import LAYERS, draw_integers
from tests.support.packages import Built, package

NETWORKS, BLOBS, SEEDS = 8, 5000, 50
LAYERS_OF_ONE = 4


def network(seed: int) -> QNet | None:
    """One of a seed, of some layers one after the other; None where the layers do not go together."""
    rng = Random(seed)
    layers = tuple(rng.choice(sorted(LAYERS)) for _ in range(rng.randrange(1, LAYERS_OF_ONE)))
    try:
        return draw_integers(seed, layers)
    except Refused:
        return None


def c_of(qnets: Iterable[QNet]) -> str:
    """The C of packages, as it is analysed and run, and the kernels in it."""
    texts = (package(qnet, "net", steps=1)[1] for qnet in qnets)
    return "".join(f"{name}\n{files[name]}" for files in texts for name in sorted(files) if name.endswith((".c", ".h")))


@cache
def streamed(shard: str) -> tuple[QNet, ...]:
    """The networks of a shard that runs under sanitizers."""
    first = 100_000 + int(shard) * SEEDS
    return tuple(islice(filter(None, map(network, range(first, first + SEEDS))), NETWORKS))


@cache
def c_of_streamed(shard: str) -> str:
    """Their C."""
    return c_of(streamed(shard))


def stored(shard: str) -> QNet:
    """The network whose saved states a shard damages."""
    first = 200_000 + int(shard) * SEEDS
    return next(net for net in map(network, range(first, first + SEEDS)) if net and net.states())


def c_of_stored(shard: str) -> str:
    """Its C."""
    return c_of([stored(shard)])


def sanitized(shard: str) -> Outcome:
    """Eight networks, in one program, under ASan and UBSan."""
    return _streamed(shard, ("gcc", *FLAGS))


def written(shard: str) -> Outcome:
    """The same under MSan: no value depends on memory that was not written."""
    return _streamed(shard, MEMORY)


def _streamed(shard: str, compiler: Sequence[str]) -> Outcome:
    nets = streamed(shard)
    with TemporaryDirectory(prefix="rnnc-assurance-") as folder:
        try:
            stream_under_sanitizers(nets, Path(folder), compiler)
        except AssertionError as error:
            return Outcome(len(nets), [f"networks of shard {shard}: {str(error)[:200]}"])
    return Outcome(len(nets))


def rederived(shard: str) -> Outcome:
    """The certificates of some networks, derived again from the text of their C."""
    first = 300_000 + int(shard) * SEEDS
    failures, done = list[str](), 0
    for seed in range(first, first + SEEDS):
        qnet = network(seed)
        if qnet is not None:
            done += 1
            program, files = package(qnet, "net", steps=1)
            found = faults(files[f"{program.name}.c"], str(certify(qnet)))
            failures += [f"seed {seed}: {why}" for why in found]
    return Outcome(done, failures[:20])


def blobs(shard: str, count: int = BLOBS) -> Outcome:
    """Damaged copies of the saved state of one network: flipped bits, cut off, longer, of another network or format."""
    rng, qnet = Random(int(shard)), stored(shard)
    with TemporaryDirectory(prefix="rnnc-assurance-") as folder:
        built = Built(*package(qnet, "a"), Path(folder))
        stream = built.new()
        whole = stream.save()
        failures = [] if stream.restore(whole) == 0 else ["a whole blob is refused"]
        for k in range(count):
            data = damaged(whole, rng)
            if data != whole and stream.restore(data) >= 0:
                failures.append(f"blob {k} of {len(data)} bytes is accepted")
    return Outcome(count, failures[:20])


def damaged(whole: bytes, rng: Random) -> bytes:
    """A copy with bits flipped, bytes replaced, cut off, or with more behind it."""
    data, change = bytearray(whole), rng.randrange(5)
    if change == 0:
        del data[rng.randrange(len(data)) :]
    elif change == 1:
        data += bytes(rng.randrange(256) for _ in range(rng.randrange(1, 9)))
    else:
        for _ in range(rng.randrange(1, 5)):
            at = rng.randrange(len(data))
            data[at] = data[at] ^ 1 << rng.randrange(8) if change < 4 else rng.randrange(256)
    return bytes(data)
