"""As much of JSON Schema as docs/report.schema.json uses."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

KINDS = {"object": dict, "array": list, "string": str, "boolean": bool, "null": type(None)}
KNOWN = {
    *("$schema", "$defs", "$ref", "title", "description", "type", "enum", "anyOf"),
    *("properties", "required", "additionalProperties", "items"),
}


def faults(value: Any, schema: dict[str, Any], root: dict[str, Any], where: str = "report") -> Iterator[str]:
    """Where a value is not what the schema says."""
    assert set(schema) <= KNOWN, set(schema) - KNOWN
    if "$ref" in schema:
        yield from faults(value, root["$defs"][schema["$ref"].rpartition("/")[2]], root, where)
    if "anyOf" in schema and all(list(faults(value, option, root, where)) for option in schema["anyOf"]):
        yield f"{where}: none of anyOf"
    if "enum" in schema and value not in schema["enum"]:
        yield f"{where}: {value!r} is not one of {schema['enum']}"
    kinds = schema.get("type", [])
    if kinds and not any(_is(value, kind) for kind in ([kinds] if isinstance(kinds, str) else kinds)):
        yield f"{where}: {value!r} is no {kinds}"
    if isinstance(value, dict):
        known = schema.get("properties", {})
        yield from (f"{where}.{key} is missing" for key in schema.get("required", ()) if key not in value)
        for key, inner in value.items():
            if key in known:
                yield from faults(inner, known[key], root, f"{where}.{key}")
            elif not schema.get("additionalProperties", True):
                yield f"{where}.{key} is not in the schema"
    if isinstance(value, list) and "items" in schema:
        for k, inner in enumerate(value):
            yield from faults(inner, schema["items"], root, f"{where}[{k}]")


def _is(value: Any, kind: str) -> bool:
    if kind == "integer":
        return isinstance(value, int) and not isinstance(value, bool)
    if kind == "number":
        return isinstance(value, int | float) and not isinstance(value, bool)
    return isinstance(value, KINDS[kind])
