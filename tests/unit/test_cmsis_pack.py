"""The CMSIS-Pack: its description names files that are there, and cores that have the target's instructions."""

from __future__ import annotations

import io
import zipfile
from functools import cache
from pathlib import Path
from xml.etree import ElementTree

import pytest

import rnnc
from rnnc.errors import UsageError
from rnnc.package import Package
from tests.support.packages import WARNINGS, run
from tests.support.small import small


@cache
def compiled(target: str = "cortex-m4") -> Package:
    return rnnc.compile_model(small(), target=target, verify=False, name="fan", package_version="1.2.3")


def test_every_named_file_is_in_the_archive_and_compiles_with_the_named_folder(tmp_path: Path) -> None:
    files = compiled().arranged("cmsis-pack")
    content = files["rnnc.fan.1.2.3.pack"]
    assert isinstance(content, bytes) and content == compiled().arranged("cmsis-pack")["rnnc.fan.1.2.3.pack"]
    pack = zipfile.ZipFile(io.BytesIO(content))
    pack.extractall(tmp_path)
    root = ElementTree.fromstring((tmp_path / "rnnc.fan.pdsc").read_text())
    order = ["vendor", "name", "description", "url", "license", "releases", "keywords", "conditions", "components"]
    assert [child.tag for child in root] == order
    assert root.findtext("vendor") == "rnnc" and root.find("releases/release[@version='1.2.3']") is not None
    assert root.findtext("license") in pack.namelist()
    named = root.findall("components/component/files/file")
    assert all((tmp_path / file.attrib["name"]).exists() for file in named)
    sources = [file.attrib["name"] for file in named if file.attrib["category"] == "source"]
    (folder,) = [file.attrib["name"] for file in named if file.attrib["category"] == "include"]
    assert {Path(s).name for s in sources} == {f"fan{part}.c" for part in ("", "_state", "_selftest", "_serial")}
    run(["gcc", *WARNINGS, f"-I{folder}", "-c", *sources], tmp_path)


@pytest.mark.parametrize(
    ("target", "has", "lacks"),
    [
        ("cortex-m0", {"Cortex-M0+", "Cortex-M55"}, set[str]()),
        ("cortex-m4", {"Cortex-M4", "Cortex-M7", "Cortex-M33"}, {"Cortex-M0+", "Cortex-M3"}),
        ("cortex-m55", {"Cortex-M55", "Cortex-M85"}, {"Cortex-M33"}),
    ],
)
def test_a_core_without_the_instructions_gets_no_component(target: str, has: set[str], lacks: set[str]) -> None:
    root = ElementTree.fromstring(str(compiled(target).arranged("cmsis-pack")["rnnc.fan.pdsc"]))
    cores = {a.attrib["Dcore"] for a in root.findall("conditions/condition[@id='Core']/accept")}
    assert has <= cores and not lacks & cores
    assert {c.get("condition") for c in root.findall("components/component")} == {"Core"}


def test_portable_c_has_no_condition_and_other_architectures_no_pack() -> None:
    root = ElementTree.fromstring(str(compiled("portable").arranged("cmsis-pack")["rnnc.fan.pdsc"]))
    assert root.find("conditions") is None
    with pytest.raises(UsageError, match="'avr' is no Cortex-M"):
        compiled("avr").arranged("cmsis-pack")
