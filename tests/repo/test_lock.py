"""What development and CI install is locked: each package with its version and hashes, as pyproject.toml asks for it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from packaging.markers import default_environment
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[2]
LOCK, MINIMUM = (ROOT / "packaging" / f"{name}.txt" for name in ("lock", "minimum"))
PROJECT = (ROOT / "pyproject.toml").read_text()
PYTHONS = ("3.10.4", "3.11.7", "3.12.3", "3.13.1")


def entries(path: Path) -> list[tuple[Requirement, list[str]]]:
    """Each package that is pinned, and its hashes."""
    lines = [line for line in path.read_text().replace("\\\n", " ").splitlines() if line.strip()[:1] not in ("", "#")]
    words = [line.split(" --hash=") for line in lines]
    return [(Requirement(pinned.strip()), [h.strip() for h in hashes]) for pinned, *hashes in words]


def asked(extra: str) -> list[Requirement]:
    """What pyproject.toml asks for, of an extra or of rnnc itself, extras of rnnc resolved."""
    name = extra if extra else "dependencies"
    listed = re.search(rf"^{name} = \[(.*?)\]$", PROJECT, re.M | re.S)
    assert listed, name
    found = [Requirement(text) for text in re.findall(r'"([^"]+)"', listed[1])]
    own = [r for r in found if r.name == "rnnc"]
    return [r for r in found if r.name != "rnnc"] + [q for r in own for e in sorted(r.extras) for q in asked(e)]


@pytest.mark.parametrize("path", [LOCK, MINIMUM], ids=lambda p: p.stem)
def test_every_package_has_one_version_and_hashes_and_no_address(path: Path) -> None:
    found = entries(path)
    assert found and "://" not in path.read_text()
    for pinned, hashes in found:
        assert [s.operator for s in pinned.specifier] == ["=="], pinned
        assert hashes and all(re.fullmatch(r"sha256:[0-9a-f]{64}", h) for h in hashes), pinned


@pytest.mark.parametrize("python", PYTHONS)
@pytest.mark.parametrize(("path", "extra"), [(LOCK, "dev"), (MINIMUM, "test")], ids=["lock", "minimum"])
def test_what_is_asked_for_is_pinned_for_each_python(path: Path, extra: str, python: str) -> None:
    """make lock writes the files anew."""
    where = {**default_environment(), "python_full_version": python, "python_version": python.rpartition(".")[0]}
    pinned: dict[str, str] = {}
    for one, _ in entries(path):
        if one.marker is None or one.marker.evaluate({k: str(v) for k, v in where.items()}):
            assert one.name not in pinned, one
            pinned[one.name] = next(iter(one.specifier)).version
    for each in [*asked(""), *asked(extra)]:
        assert each.specifier.contains(pinned[each.name.lower()]), f"{each}: {pinned[each.name.lower()]}"


def test_the_oldest_versions_are_those_that_are_asked_for() -> None:
    """minimum.txt is the floor of pyproject.toml, so what it says is what is tested."""
    pinned = [(one.name, next(iter(one.specifier)).version) for one, _ in entries(MINIMUM)]
    for each in asked(""):
        floor = next(iter(each.specifier)).version
        found = [version for name, version in pinned if name == each.name]
        assert any(v.split(".")[: len(floor.split("."))] == floor.split(".") for v in found), each
