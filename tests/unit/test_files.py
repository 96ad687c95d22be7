"""Files are written whole or not at all."""

from __future__ import annotations

import os
from pathlib import Path
from unittest.mock import patch

import pytest

from rnnc.errors import UsageError
from rnnc.files import write_file


def test_text_is_utf8_and_replaces_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "a.html"
    write_file(path, "old")
    write_file(str(path), "π")
    assert path.read_bytes() == "π".encode() and os.listdir(tmp_path) == ["a.html"]


def test_a_failure_leaves_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "out.npz"
    path.write_bytes(b"old")
    for failure in (OSError(28, "No space left on device"), KeyboardInterrupt()):
        with patch.object(Path, "replace", side_effect=failure), pytest.raises((UsageError, KeyboardInterrupt)):
            write_file(path, b"new")
        assert path.read_bytes() == b"old" and os.listdir(tmp_path) == ["out.npz"]


def test_a_device_stays_a_device() -> None:
    with pytest.raises(UsageError, match="cannot write /dev/full: No space left"):
        write_file("/dev/full", b"x" * 100)
    write_file("/dev/null", b"x")
    assert Path("/dev/full").is_char_device() and Path("/dev/null").is_char_device()


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    target, link = tmp_path / "target", tmp_path / "link"
    link.symlink_to(target)
    write_file(link, "x")
    assert link.is_symlink() and target.read_text() == "x"


@pytest.mark.parametrize("path", ["", "file/below", "missing/file"])
def test_what_cannot_be_written_is_named(path: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="cannot write "):
        write_file(tmp_path / path, "x")
