"""rnnc doctor."""

from __future__ import annotations

from dataclasses import asdict

from rnnc.cli.output import CommandOutput


def run(output: CommandOutput) -> None:
    """List the compilers, emulators and simulated cores on this machine, and what the missing ones are for."""
    from rnnc.verification.tools import find_tools

    tools = find_tools()
    lines = []
    for tool in tools:
        lines.append(f"{'found  ' if tool.path else 'missing'}  {tool.name}: {tool.purpose}")
        lines.append(f"         {f'{tool.path}  {tool.version}' if tool.path else tool.install}")
    output.answer({"tools": [{**asdict(tool), "found": bool(tool.path)} for tool in tools]}, "\n".join(lines))
