"""What the tools of build systems say of packages: make packages installs them."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest

import rnnc
from rnnc.options import Layout
from tests.conftest import require
from tests.support.packages import run
from tests.support.small import small

pytestmark = pytest.mark.packages


def written(layout: Layout, folder: Path, target: str = "portable") -> Path:
    return rnnc.compile_model(small(), target=target, verify=False, name="fan").write(folder, layout)


def refused(command: list[str | Path], folder: Path) -> str:
    """What a command says that must fail."""
    done = subprocess.run(command, cwd=folder, check=False, capture_output=True, text=True)
    assert done.returncode != 0
    return done.stdout + done.stderr


def test_platformio_takes_the_manifest_and_packs_the_library(tmp_path: Path) -> None:
    """Without the licence: its list is loaded from the net."""
    require("pio")
    manifest = written("platformio", tmp_path / "fan") / "library.json"
    content = {k: v for k, v in json.loads(manifest.read_text()).items() if k != "license"}
    manifest.write_text(json.dumps(content))
    run(["pio", "pkg", "pack", "fan", "-o", "fan.tar.gz"], tmp_path)
    shutil.unpack_archive(tmp_path / "fan.tar.gz", tmp_path / "unpacked")
    assert (tmp_path / "unpacked/src/fan.c").is_file()
    manifest.write_text(json.dumps(content | {"version": "no version"}))
    assert "version" in refused(["pio", "pkg", "pack", "fan", "-o", "other.tar.gz"], tmp_path)


def test_esp_s_component_tool_packs_the_component_without_a_warning(tmp_path: Path) -> None:
    require("compote")
    folder = written("esp-idf", tmp_path / "fan")
    run(["compote", "-W", "component", "pack", "--name", "fan", "--dest-dir", tmp_path / "dist"], folder)
    (archive,) = (tmp_path / "dist").glob("fan_0.1.0.tgz")
    shutil.unpack_archive(archive, tmp_path / "unpacked")
    assert list((tmp_path / "unpacked").rglob("src/fan.c"))
    manifest = folder / "idf_component.yml"
    manifest.write_text(manifest.read_text().replace("0.1.0", "no version"))
    refused(["compote", "-W", "component", "pack", "--name", "fan", "--dest-dir", tmp_path / "other"], folder)


@pytest.mark.parametrize("target", ["portable", "cortex-m4"])
def test_cmsis_pack_manager_reads_the_description(target: str, tmp_path: Path) -> None:
    require("pack-manager")
    folder = written("cmsis-pack", tmp_path / "fan", target)
    cache = ["--data-path", str(tmp_path / "data"), "--json-path", str(tmp_path / "json")]
    run(["pack-manager", "add-packs", *cache, folder / "rnnc.fan.pdsc"], tmp_path)
