"""What a build changed: two reports, figure by figure."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rnnc.errors import DataError

HINT = "Give the report.json of an earlier package of one network."
COSTS = {
    "flash_weights": ("weights", "B"),
    "flash_tables": ("tables", "B"),
    "flash_code": ("code", "B"),
    "ram_state": ("state", "B"),
    "ram_scratch": ("scratch", "B"),
    "stack": ("stack", "B"),
    "macs": ("multiply-accumulates", ""),
    "milliseconds": ("time of a step", "ms"),
}
"""Keys of ``cost``, what they are called, and their unit; less is better."""


@dataclass(frozen=True)
class Change:
    """A figure that is another now. ``better`` is None where neither is."""

    what: str
    before: str
    after: str
    difference: str = ""
    better: bool | None = None

    def content(self) -> dict[str, Any]:
        """For report.json."""
        return {"what": self.what, "before": self.before, "after": self.after, "better": self.better}


def read_report(path: str | Path) -> dict[str, Any]:
    """An earlier report.json; raises DataError."""
    try:
        found = json.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise DataError(f"cannot be read: {error.strerror}", where=str(path), hint=HINT) from None
    except ValueError:
        raise DataError("is not JSON", where=str(path), hint=HINT) from None
    if not isinstance(found, dict) or not {"model", "cost", "target", "inputs", "outputs"} <= found.keys():
        raise DataError("is no report of a network", where=str(path), hint=HINT)
    return found


def changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[Change]:
    """The figures that differ, in the order in which a reader asks for them; [] where all are the same."""
    return [*_identity(before, after), *_accuracy(before, after), *_costs(before, after), *_ports(before, after)]


def _identity(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[Change]:
    hashes = [str(r["model"].get("sha256", ""))[:12] for r in (before, after)]
    if hashes[0] != hashes[1]:
        yield Change("model (sha256)", hashes[0], hashes[1])
    for key in ("name", "version", "precision", "target"):
        yield from _words(key, before.get(key), after.get(key))
    parts = [(r.get("part") or {}).get("name") for r in (before, after)]
    yield from _words("part", *parts)
    wide = [", ".join((r.get("weights") or {}).get("wide", ())) or "none" for r in (before, after)]
    yield from _words("int16 weights", *wide)


def _words(what: str, before: Any, after: Any) -> Iterator[Change]:
    if before != after:
        yield Change(what, _text(before), _text(after))


def _text(x: Any) -> str:
    return (
        "\N{EN DASH}" if x is None else f"{x:,}" if isinstance(x, int) else f"{x:g}" if isinstance(x, float) else str(x)
    )


def _accuracy(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[Change]:
    old, new = (r.get("verify") or {} for r in (before, after))
    yield from _words("verdict", old.get("verdict"), new.get("verdict"))
    outputs = [{o["name"]: o for o in v.get("outputs", ())} for v in (old, new)]
    for name in [n for n in outputs[1] if n in outputs[0]]:
        for key, unit, shown in (("sqnr_db", "dB", "SQNR"), ("argmax_agreement", "", "same argmax")):
            yield from _number(f"{name}: {shown}", unit, *(o[name].get(key) for o in outputs), more=True)
    tasks = [(v.get("task") or {}).get("c") or {} for v in (old, new)]
    for key, more in (("accuracy", True), ("f1", True), ("rmse", False), ("mae", False)):
        yield from _number(f"{key} of the C", "", *(t.get(key) for t in tasks), more=more)


def _costs(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[Change]:
    for key, (what, unit) in COSTS.items():
        yield from _number(what, unit, before["cost"].get(key), after["cost"].get(key), more=False)


def _number(what: str, unit: str, before: float | None, after: float | None, *, more: bool) -> Iterator[Change]:
    """``more``: whether more is better."""
    if before == after:
        return
    if before is None or after is None:
        yield Change(what, _with(before, unit), _with(after, unit))
        return
    share = f" ({(after - before) / before:+.1%})" if before and unit not in ("dB", "") else ""
    difference = f"{after - before:+,.6g}{share}"
    yield Change(what, _with(before, unit), _with(after, unit), difference, (after > before) == more)


def _with(x: float | None, unit: str) -> str:
    return _text(x) if x is None else f"{_text(x)} {unit}".rstrip()


def _ports(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[Change]:
    """What callers of the C must know: inputs and outputs that came, went, or mean something else."""
    for key, way in (("inputs", "input"), ("outputs", "output")):
        old, new = ({p["name"]: p for p in r[key]} for r in (before, after))
        for name in {**old, **new}:
            a, b = old.get(name), new.get(name)
            if a is None or b is None:
                yield Change(f"{way} {name}", "there" if a else "not there", "there" if b else "not there")
                continue
            for field in ("shape", "dtype", "scale", "offset", "kind", "rate", "latency"):
                if a.get(field) != b.get(field):
                    yield Change(f"{way} {name}: {field}", _port_text(a.get(field)), _port_text(b.get(field)))


def _port_text(x: Any) -> str:
    """A field of a port: long lists by their ends."""
    if not isinstance(x, list):
        return _text(x)
    words = [_text(v) for v in x]
    return ", ".join(words if len(words) <= 3 else [words[0], "...", words[-1]])
