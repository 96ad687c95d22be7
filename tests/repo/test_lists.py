"""Lists that name ops, operators or targets by hand forget none: what a new one touches is in CONTRIBUTING.md."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from onnx import defs

import rnnc.ops  # noqa: F401  registers the handlers
from rnnc.backend.targets import TARGETS
from rnnc.frontend.read.fold import RANDOM
from rnnc.frontend.stream.reasons import ADVICE, SEQUENCES
from rnnc.tracing import HANDLERS
from rnnc.tuning import PER_MAC
from rnnc.verification.boards import BOARDS, PACKAGES
from rnnc.verification.peers import PEERS
from tests.kernels.test_cores import FITS, OWN

ROOT = Path(__file__).parents[2]
PARTS = sorted(set(TARGETS) - {"portable", "host"})
"""Targets that are measured in an emulator."""
HEADERS = sorted(str(p.relative_to(ROOT / "runtime_c")) for p in ROOT.glob("runtime_c/**/*.h"))
INCLUDED = re.compile(r'#include "([^"]+)"')


# --------------------------------------------------------------------------- operators


def test_advice_is_about_operators_that_nothing_takes() -> None:
    """Where a handler takes the operator, or refuses it, the advice is never given."""
    assert not {*ADVICE, *RANDOM, *SEQUENCES} & HANDLERS.keys()


def test_advice_is_about_operators_of_onnx_and_each_has_one() -> None:
    named = [*ADVICE, *RANDOM, *SEQUENCES]
    assert len(named) == len(set(named))
    assert not [name for name in named if not defs.has(name)]


def test_the_op_to_copy_is_the_smallest_that_has_a_kernel_of_its_own() -> None:
    """CONTRIBUTING.md names it first, and another that has constants and an accumulator."""
    named = re.findall(r"`rnnc/ops/(\w+)\.py` with `runtime_c/(\w+)\.h`", (ROOT / "CONTRIBUTING.md").read_text())
    sizes = {}
    for path in (ROOT / "rnnc/ops").glob("*.py"):
        header, text = ROOT / f"runtime_c/{path.stem}.h", path.read_text()
        if header.exists() and "@handles(" in text and f'"{header.name}"' in text:
            sizes[path.stem] = len((text + header.read_text()).splitlines())
    assert named and all(op == header and op in sizes for op, header in named)
    assert min(sizes, key=sizes.__getitem__) == named[0][0]


# --------------------------------------------------------------------------- targets


def test_tuning_estimates_every_part() -> None:
    """Without an entry a part would count as portable C."""
    assert sorted(PER_MAC) == PARTS


@pytest.mark.parametrize("target", PARTS)
def test_every_part_has_a_board_whose_tools_are_known(target: str) -> None:
    board = BOARDS[target]
    tools = [board.compiler, *board.emulator[:1]]
    assert not [tool for tool in tools if tool not in PACKAGES]


def test_the_makefile_installs_what_the_boards_need() -> None:
    script = (ROOT / "tools/system_packages.sh").read_text()
    wanted = {package for packages in PACKAGES.values() for package in packages.split()}
    assert not [package for package in sorted(wanted) if not re.search(rf"^{re.escape(package)}: ", script, re.M)]


@pytest.mark.parametrize("page", ["README.md", "docs/firmware.md", "docs/performance.md"])
def test_pages_name_every_part(page: str) -> None:
    named = set(re.findall(r"[\w-]+", (ROOT / page).read_text()))
    assert not set(PARTS) - named


def test_the_instructions_of_every_part_are_kept() -> None:
    golden = json.loads((ROOT / "tests/golden/instructions.json").read_text())
    assert sorted(golden) == [part for part in PARTS if BOARDS[part].instructions]


def test_every_part_is_compiled_for_its_own_core() -> None:
    """Cortex-M7 and M33 share the M4's header, and are among the cores that it fits."""
    cores = {*OWN, *(part for part in PARTS for _, command in FITS if f"-mcpu={part}" in command)}
    assert not set(PARTS) - cores


def test_peers_are_measured_on_targets() -> None:
    assert not {target for peer in PEERS for target in peer.targets} - set(PARTS)


# --------------------------------------------------------------------------- headers


def test_every_header_of_an_instruction_set_belongs_to_a_target() -> None:
    sparse = {t.sparse.header for t in TARGETS.values() if t.sparse}
    reached = _reached({name for t in TARGETS.values() for name in (*t.isa, *t.rom)} | sparse)
    assert not {name for name in HEADERS if name.startswith("isa/")} - reached


def test_every_kernel_is_called_by_an_op() -> None:
    """Or included by a header that is."""
    sources = "\n".join(p.read_text() for p in (ROOT / "rnnc").rglob("*.py"))
    templates = "\n".join(p.read_text() for p in (ROOT / "templates").rglob("*.j2"))
    called = {name for name in HEADERS if f'"{name}"' in sources or f"rnnc/{name}" in templates}
    isa = {name for name in HEADERS if name.startswith("isa/")}
    assert not set(HEADERS) - isa - _reached(called | isa)


def _reached(names: set[str]) -> set[str]:
    """The headers, and what they include."""
    found: set[str] = set()
    while names:
        found |= names
        texts = {name: (ROOT / "runtime_c" / name).read_text() for name in names}
        included = {str(Path(name).parent / other) for name, text in texts.items() for other in INCLUDED.findall(text)}
        names = {re.sub(r"^isa/\.\./", "", name) for name in included} - found
    return found
