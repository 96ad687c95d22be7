"""Measure the examples: their metric by each engine, and what a step costs on a Cortex-M4. Writes figures.json and the READMEs.

python -m examples.figures [NAME...]
"""

from __future__ import annotations

import argparse
import json
from functools import partial
from textwrap import indent
from typing import Any

from examples.common import EXAMPLES, HERE, Metric, Network, compile_network, find_task
from examples.firmware import target_of
from rnnc import Package
from rnnc.verification.emulator import find_board, measure

BOARD = "cortex-m4"
MARKS = ("<!-- {0}: written by `python -m examples.figures` -->", "<!-- end of {0} -->")
PRECISIONS = ("a16", "a8")


def measure_network(name: str, network: Network) -> dict[str, Any]:
    """The metric in float64, in onnxruntime and in integers, and what the integers cost."""
    task = find_task(name)
    packages = {p: compile_network(name, network, precision=p, target=target_of(BOARD)) for p in PRECISIONS}
    scores = {
        engine: task.score(partial(packages["a16"].simulate, engine=engine)) for engine in ("float", "onnxruntime")
    }
    scores |= {p: task.score(partial(packages[p].simulate, engine="oracle")) for p in PRECISIONS}
    return {"model": network.model, "score": scores, "cost": {p: _cost(packages[p]) for p in PRECISIONS}}


def _cost(package: Package) -> dict[str, Any]:
    """Bytes and instructions on the Cortex-M4."""
    measured = measure(package.program, package.files, find_board(BOARD))
    bytes_, counted = measured.footprint, measured.instructions
    assert counted is not None
    return {
        "flash_weights": bytes_.weights,
        "flash_tables": bytes_.tables,
        "flash_code": bytes_.code,
        "ram": bytes_.ram_state + bytes_.ram_scratch,
        "stack": measured.stack_bound,
        "macs": package.program.cost.macs,
        "instructions": {"median": counted.median, "most": counted.most},
    }


def table(metric: Metric, networks: list[dict[str, Any]]) -> str:
    """The figures as Markdown."""
    rows = [
        f"| | {metric.name} | flash | RAM | multiply-accumulates a step | instructions a step |",
        "|---|---|---|---|---|---|",
    ]
    for n in networks:
        model = f"`{n['model']}`, " if len(networks) > 1 else ""
        for engine, title in (("float", "float64"), ("onnxruntime", "onnxruntime, float32")):
            rows.append(f"| {model}{title} | {metric.show(n['score'][engine])} | | | | |")
        for p in PRECISIONS:
            cost = n["cost"][p]
            flash = cost["flash_weights"] + cost["flash_tables"] + cost["flash_code"]
            rows.append(
                f"| {model}C, {p} | {metric.show(n['score'][p])} | {flash:,} B | {cost['ram']:,} B "
                f"| {cost['macs']:,} | {_instructions(cost['instructions'])} |"
            )
    return "\n".join(rows)


def _instructions(count: dict[str, int]) -> str:
    """The median, and the most where a step now and then takes much more."""
    often = f"{count['median']:,}"
    return often if count["most"] < 1.25 * count["median"] else f"{often}, at most {count['most']:,}"


def fill(text: str, block: str, body: str) -> str:
    """A README with the body of a marked block replaced; as it is where it has no such block."""
    begin, end = (mark.format(block) for mark in MARKS)
    if begin not in text:
        return text
    return f"{text[: text.index(begin)]}{begin}\n{body}\n{text[text.index(end) :]}"


def update(name: str) -> None:
    """Measure an example, write figures.json and the blocks of its README."""
    task, folder = find_task(name), HERE / name
    networks = [measure_network(name, n) for n in task.NETWORKS]
    (folder / "figures.json").write_text(json.dumps(networks, indent=1) + "\n")
    figures = table(task.METRIC, networks)
    printed = indent(task.expected(compile_network(name, task.NETWORKS[0])).rstrip("\n"), "    ")
    readme = folder / "README.md"
    readme.write_text(fill(fill(readme.read_text(), "figures", figures), "printed", f"\n{printed}\n"))
    print(f"{name}\n{figures}\n{printed}")


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure the examples and write their figures.")
    parser.add_argument("name", nargs="*", choices=[*EXAMPLES, []], help="which; all else")
    for name in parser.parse_args().name or EXAMPLES:
        update(name)


if __name__ == "__main__":
    main()
