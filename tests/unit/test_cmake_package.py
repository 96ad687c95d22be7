"""The CMake package in projects of other people: what they may do with it, by cmake itself."""

from __future__ import annotations

from pathlib import Path

import pytest

from rnnc.backend.layouts import arrange
from rnnc.files import write_files
from tests.conftest import require
from tests.support.nets import draw_integers
from tests.support.packages import contents, package, run

MAIN = """
#include "fan.h"
int main()
{
    static fan_t s;
    return fan_selftest(&s);
}
"""
WITHIN = """
cmake_minimum_required(VERSION 3.13)
project(firmware CXX)
add_subdirectory(fan)
add_subdirectory(library)
add_executable(firmware main.cpp)
target_link_libraries(firmware PRIVATE rnnc::fan_selftest library)
"""
LIBRARY = """
add_subdirectory(../fan again)
add_library(library STATIC library.cpp)
target_link_libraries(library PUBLIC rnnc_fan)
install(TARGETS library EXPORT library ARCHIVE DESTINATION lib)
install(EXPORT library DESTINATION lib/cmake/library FILE library-config.cmake)
export(EXPORT library)
"""
INSTALLED = """
cmake_minimum_required(VERSION 3.13)
project(other CXX)
find_package(rnnc_fan 1.2 REQUIRED)
add_executable(other other.cpp)
target_link_libraries(other PRIVATE rnnc::fan)
"""
OTHER = """
#include "fan.h"
#include "fan_float.h"
int main()
{
    static fan_t s;
    fan_reset(&s);
    return 0;
}
"""


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project of C++ alone, built and installed, that adds the package twice and exports a library which uses it."""
    require("cmake")
    folder = tmp_path_factory.mktemp("project")
    program, files = package(draw_integers(3, ["gru_after", "dense"]), "fan")
    placed = arrange("cmake", contents(program), files)
    write_files(folder, {f"fan/{name}": text for name, text in placed.items()})
    library = {
        "library/CMakeLists.txt": LIBRARY,
        "library/library.cpp": '#include "fan.h"\nint library = FAN_BLOB_LEN;\n',
    }
    write_files(folder, {"CMakeLists.txt": WITHIN, "main.cpp": MAIN, **library})
    prefix = f"-DCMAKE_INSTALL_PREFIX={folder / 'installed'}"
    run(["cmake", "-S", ".", "-B", "build", "-DCMAKE_CXX_FLAGS=-Wall -Wextra -Werror", prefix], folder)
    run(["cmake", "--build", "build", "--target", "install"], folder)
    return folder


def test_a_project_of_cpp_alone_adds_it_twice_and_runs_its_self_test(project: Path) -> None:
    run([project / "build/firmware"], project)


def test_a_library_that_uses_it_is_exported(project: Path) -> None:
    exported = (project / "installed/lib/cmake/library/library-config.cmake").read_text()
    assert 'INTERFACE_LINK_LIBRARIES "rnnc::fan"' in exported


@pytest.mark.parametrize("where", ["installed", "build/fan"])
def test_find_package_finds_it_installed_and_built(project: Path, where: str, tmp_path: Path) -> None:
    write_files(tmp_path, {"CMakeLists.txt": INSTALLED, "other.cpp": OTHER})
    run(["cmake", "-S", ".", "-B", "build", f"-DCMAKE_PREFIX_PATH={project / where}"], tmp_path)
    run(["cmake", "--build", "build"], tmp_path)
    run([tmp_path / "build/other"], tmp_path)


def test_what_is_installed_holds_no_path_of_the_sources(project: Path) -> None:
    installed = [p for p in (project / "installed").rglob("*") if p.suffix in (".cmake", ".h")]
    assert {p.name for p in installed} >= {
        "fan.h",
        "fan_float.h",
        "rnnc_fan-config.cmake",
        "rnnc_fan-config-version.cmake",
    }
    assert all(str(project / "fan") not in p.read_text() for p in installed)
