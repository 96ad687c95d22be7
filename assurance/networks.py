"""Random networks under sanitizers, and damaged blobs: the bits equal to the oracle's, nothing accepted that is not whole."""

from __future__ import annotations

from collections.abc import Sequence
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


def sanitized(shard: str) -> Outcome:
    """Eight networks, in one program, under ASan and UBSan."""
    return _streamed(shard, ("gcc", *FLAGS))


def written(shard: str) -> Outcome:
    """The same under MSan: no value depends on memory that was not written."""
    return _streamed(shard, MEMORY)


def _streamed(shard: str, compiler: Sequence[str]) -> Outcome:
    first = 100_000 + int(shard) * SEEDS
    nets = list(islice(filter(None, map(network, range(first, first + SEEDS))), NETWORKS))
    with TemporaryDirectory(prefix="rnnc-assurance-") as folder:
        try:
            stream_under_sanitizers(nets, Path(folder), compiler)
        except AssertionError as error:
            return Outcome(len(nets), [f"seeds from {first} on: {str(error)[:200]}"])
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
    rng = Random(int(shard))
    nets = map(network, range(200_000 + int(shard) * SEEDS, 200_000 + int(shard) * SEEDS + SEEDS))
    qnet = next(net for net in nets if net and net.states())
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
