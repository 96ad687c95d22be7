"""The content of report.json: what was built, its cost, the certificate and the measurements; null is not measured."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from html import escape
from typing import Any

import rnnc
from rnnc.backend.program import Port, Program
from rnnc.backend.structs import Width, count_nearest_limit
from rnnc.net import Net
from rnnc.quantization.certify import Certificate
from rnnc.quantization.choice import Choice
from rnnc.quantization.survey import BlockCost
from rnnc.report.scores import scores
from rnnc.report.widths import blocks_content, widths_content
from rnnc.report.zeros import sparse_content
from rnnc.verification.attribution import Attribution, Loss
from rnnc.verification.score import clear_agreement
from rnnc.verification.verdict import OutputVerdict, Verdict
from rnnc.verification.verify import OutputFigures, Verification
from rnnc.verification.warm_up import WarmUp

Shapes = Mapping[str, tuple[int, ...]]


class Report(dict[str, Any]):
    """The content of report.json, docs/report.schema.json; a notebook shows what it costs and how near its outputs come."""

    def _repr_html_(self) -> str:
        rows = [(name, value) for name, value in self["cost"].items() if isinstance(value, (int, float))]
        rows += [(f"{o['name']}, SQNR in dB", o["sqnr_db"]) for o in (self["verify"] or {"outputs": []})["outputs"]]
        lines = "".join(f"<tr><th>{escape(name)}</th><td>{value}</td></tr>" for name, value in rows)
        return f"<table><caption>{escape(self['name'])} for {escape(self['target'])}</caption>{lines}</table>"


def report_content(
    file: str,
    sha256: str,
    program: Program,
    certificate: Certificate,
    shapes: Shapes,
    verified: Verification | None,
    verdict: Verdict | None,
    attribution: Attribution | None,
    choice: Choice,
    costs: Sequence[BlockCost],
) -> Report:
    """The report as plain lists, numbers and strings.

    Args:
        shapes: of one step of each port.
        attribution, costs: what each layer and each block of weights costs, where that was asked for.
        choice: which weights are int16.
    """
    blocks = blocks_content(costs, program.qnet)
    by_layer = _by_layer(attribution, verified.measured.steps, blocks) if attribution and verified else None
    content = {
        "model": {"file": file, "sha256": sha256},
        "name": program.name,
        "version": rnnc.__version__,
        "precision": program.qnet.precision,
        "target": program.target.name,
        "part": None,
        "changes": None,
        "weights": widths_content(choice, program.qnet),
        "inputs": [_input(p, shapes[p.name]) for p in program.inputs],
        "outputs": [_output(p, shapes[p.name], program.qnet.net) for p in program.outputs],
        "cost": _cost(program),
        "certificate": [
            {
                "op": b.op,
                "accumulator": b.accumulator,
                "bits": b.bits,
                "worst": b.worst,
                "margin_bits": round(b.margin_bits, 2),
            }
            for b in certificate.bounds
        ],
        "counts": _counts(program),
        "verify": _verify(verified, verdict, by_layer) if verified and verdict else None,
    }
    return Report(content)


def _cost(program: Program) -> dict[str, Any]:
    cost = program.cost
    return {
        "macs": cost.macs,
        "flash_weights": cost.flash_weights,
        "flash_tables": cost.flash_tables,
        "flash_code": None,
        "ram_state": cost.ram_state,
        "ram_scratch": cost.ram_scratch,
        "stack": None,
        "instructions": None,
        "cycles": None,
        "milliseconds": None,
        "windows": _windows(program),
        "sparse": sparse_content(program),
    }


def _counts(program: Program) -> list[dict[str, Any]]:
    """Of each op, the count in its parameters that is nearest to the limit of its C type."""
    nearest: dict[str, Width] = {}
    for p in program.params:
        found = count_nearest_limit(p.ctype, p.fields)
        if found and (p.op not in nearest or found.used > nearest[p.op].used):
            nearest[p.op] = found
    return [
        {"op": op, "field": w.field, "type": w.ctype, "value": w.value, "most": w.most} for op, w in nearest.items()
    ]


def _windows(program: Program) -> dict[str, Any] | None:
    """What windows cost: steps of the network in a call of step, at most, and what is kept for those that overlap."""
    net, overlap = program.qnet.net, program.overlap
    if not net.window:
        return None
    return {
        "steps": net.window,
        "hop": net.every,
        "steps_a_call": overlap.steps if overlap else 1,
        "states": overlap.lanes if overlap else 1,
        "frames": overlap.frames if overlap else 0,
        "answer": _answer(program) if program.continues else None,
    }


def _answer(program: Program) -> dict[str, int]:
    """What an answer of several values costs, in multiply-accumulates: a frame, each value by NAME_next, or all at once."""
    frame, late = program.macs_by_call
    at_once = frame + program.drain_steps * late
    return {"values": program.outputs[0].ticks, "macs_frame": frame, "macs_next": late, "macs_at_once": at_once}


def _input(port: Port, shape: tuple[int, ...]) -> dict[str, Any]:
    """``scale`` and ``offset`` by channel where they differ; real = integer * scale + offset."""
    scale = [_short(s) for s in port.format.scale]
    return {"name": port.name, "shape": list(shape), "dtype": _dtype(port), "scale": scale, "offset": _offset(port)}


def _output(port: Port, shape: tuple[int, ...], net: Net) -> dict[str, Any]:
    """``rate`` and ``latency`` in steps; a window answers with its last frame, whatever its inner delays are."""
    scale = [_short(s) for s in port.format.scale]
    return {
        "name": port.name,
        "shape": list(shape),
        "dtype": _dtype(port),
        "scale": scale[0] if port.format.uniform else scale,
        **({"offset": _offset(port)} if port.format.offset.any() else {}),
        "kind": port.kind,
        "rate": net.every or port.clock.rate,
        "latency": 0 if net.window else port.clock.delay,
    }


def _offset(port: Port) -> float | list[float]:
    f = port.format
    if not (f.zero_point or f.offset.any()):
        return 0
    offset = [_short(v) for v in f.offset - f.zero_point * f.scale]
    return offset if len(offset) > 1 else offset[0]


def _dtype(port: Port) -> str:
    return port.format.ctype.removesuffix("_t")


def _verify(verified: Verification, verdict: Verdict, by_layer: dict[str, Any] | None) -> dict[str, Any]:
    """``cause`` and ``advice`` are null where all is good; ``unjudged_channels`` vary too little to be judged.

    Where nothing could be judged ``verdict`` is null and ``cause`` says why.
    """
    m = verified.measured
    content: dict[str, Any] = {
        "steps": m.steps,
        "compared": m.compared,
        "c_equals_oracle": not verified.difference,
        "import_max_rel": _figure(m.import_max_rel, 3),
        "float32": asdict(m.float32) | {"max_rel": _figure(m.float32.max_rel, 3)},
        "verdict": verdict.level,
        "cause": _cause(verdict),
        "advice": verdict.cure or None,
        "outputs": [
            _figures(o, v) | {"warm_up": _warm_up(verified.warm_up.get(o.name))}
            for o, v in zip(m.outputs, verdict.outputs, strict=True)
        ],
        **scores(verified),
    }
    return content | {"by_layer": by_layer} if by_layer else content


def _warm_up(found: WarmUp | None) -> dict[str, int | None] | None:
    """Steps from reset until the output agrees with the endless stream; null where more than ``followed`` steps are needed."""
    return asdict(found) if found else None


def _cause(verdict: Verdict) -> str | None:
    if verdict.level is None:
        return verdict.why
    return f"{verdict.why}; {verdict.cause}" if verdict.cause else None


def _by_layer(a: Attribution, verified: int, blocks: list[dict[str, Any]]) -> dict[str, Any]:
    """``network_db`` is the figure of all together over the same ``steps``, which are so many of those ``of`` verify."""
    return {
        "steps": a.steps,
        "of": verified,
        "network_db": _figure(a.network, 5),
        "inputs": [_loss(loss) for loss in a.inputs],
        "layers": [_loss(loss) for loss in a.layers],
        "blocks": blocks,
    }


def _loss(loss: Loss) -> dict[str, Any]:
    return {
        "name": loss.name,
        "what": loss.what,
        "weights_db": _figure(loss.weights, 4),
        "activations_db": _figure(loss.activations, 4),
        "tables_db": _figure(loss.tables, 4),
        "layer_db": _figure(loss.layer, 4),
    }


def _figures(o: OutputFigures, v: OutputVerdict) -> dict[str, Any]:
    d = o.difference
    return {
        "name": o.name,
        "sqnr_db": _figure(d.sqnr_db, 5),
        "channel_sqnr_db": [_figure(db, 5) for db in v.channel_db],
        "unjudged_channels": list(v.ignored),
        "sqnr_same_weights_db": _figure(o.same_weights, 5),
        "max_abs": _figure(d.max_abs, 4),
        "rms": _figure(d.rms, 4),
        "argmax_agreement": _figure(d.argmax_agreement, 6),
        "argmax_agreement_clear": _figure(clear_agreement(o.asked.reference, o.got), 6),
    }


def _short(x: float) -> float:
    """A scale with as many digits as a float has."""
    return float(f"{float(x):.9g}")


def _figure(x: float | None, digits: int) -> float | None:
    """``x`` with so many digits; null where it is unknown or not finite."""
    return float(f"{x:.{digits}g}") if x is not None and math.isfinite(x) else None
