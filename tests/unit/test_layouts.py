"""Packages as build systems want them: each layout is built with what the build system would run, or a stand-in for it."""

from __future__ import annotations

import configparser
import json
import re
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import get_args

import pytest

from rnnc.backend.emit.usage import USE, usage
from rnnc.backend.layouts import ANY, LAYOUTS, arrange
from rnnc.backend.program import Program
from rnnc.errors import UsageError
from rnnc.files import write_files
from rnnc.options import Layout, Options
from tests.conftest import require
from tests.support.nets import draw, to_integers
from tests.support.packages import WARNINGS, contents, package, run

Built = tuple[Program, dict[str, str]]
MAIN = """
#include "fan.h"
int main(void)
{
    static fan_t s;
    return fan_selftest(&s);
}
"""
CONSUMER = """
cmake_minimum_required(VERSION 3.13)
project(firmware C)
{extra}
add_executable(firmware main.c)
target_link_libraries(firmware PRIVATE {libraries})
"""
ZEPHYR = """
macro(zephyr_library_named name)
  set(current ${name})
  add_library(${name} STATIC)
endmacro()
macro(zephyr_library_sources)
  target_sources(${current} PRIVATE ${ARGN})
endmacro()
macro(zephyr_library_sources_ifdef feature)
  if(${${feature}})
    target_sources(${current} PRIVATE ${ARGN})
  endif()
endmacro()
macro(zephyr_library_compile_options option)
  add_library(options_of_${current} INTERFACE)
  target_compile_options(options_of_${current} INTERFACE ${option})
  target_link_libraries(${current} PRIVATE options_of_${current})
endmacro()
macro(zephyr_include_directories folder)
  include_directories(${CMAKE_CURRENT_SOURCE_DIR}/${folder})
endmacro()
"""
"""What Zephyr's extensions.cmake does with these, as far as a component sees it."""
ESP_IDF = """
function(idf_component_register)
  cmake_parse_arguments(arg "" "" "SRCS;INCLUDE_DIRS" ${ARGN})
  add_library(component STATIC ${arg_SRCS})
  target_include_directories(component PUBLIC ${arg_INCLUDE_DIRS})
  set(COMPONENT_LIB component PARENT_SCOPE)
endfunction()
"""
ARDUINO_H = """
#include <stddef.h>
#include <stdint.h>
struct Port {
    void begin(long);
    void print(const char *);
    void print(int);
    void println(const char *);
    void println(int);
    void println(unsigned long);
    int available();
    int read();
    size_t write(uint8_t);
    operator bool() const;
};
void yield();
extern Port Serial;
extern "C" unsigned long micros(void);
"""
SYSTEM_HEADERS = {
    "zephyr": {
        "zephyr/device.h": """
            struct device { int unused; };
            extern const struct device console;
            #define DT_CHOSEN(x) x
            #define DEVICE_DT_GET(x) &console
            """,
        "zephyr/drivers/uart.h": """
            int uart_poll_in(const struct device *dev, unsigned char *p_char);
            void uart_poll_out(const struct device *dev, unsigned char out_char);
            """,
        "zephyr/kernel.h": """
            #include <stdint.h>
            uint32_t k_cycle_get_32(void);
            int sys_clock_hw_cycles_per_sec(void);
            """,
    },
    "esp-idf": {
        "driver/uart.h": """
            #include <stddef.h>
            #include <stdint.h>
            typedef struct { int baud_rate, data_bits, parity, stop_bits, flow_ctrl, source_clk; } uart_config_t;
            enum { UART_NUM_0, UART_DATA_8_BITS, UART_PARITY_DISABLE, UART_STOP_BITS_1, UART_HW_FLOWCTRL_DISABLE };
            enum { UART_SCLK_DEFAULT };
            int uart_driver_install(int port, int rx, int tx, int queue, void *handle, int flags);
            int uart_param_config(int port, const uart_config_t *config);
            int uart_read_bytes(int port, void *buffer, uint32_t length, uint32_t ticks);
            int uart_write_bytes(int port, const void *source, size_t size);
            #define ESP_ERROR_CHECK(x) (void)(x)
            """,
        "esp_cpu.h": "uint32_t esp_cpu_get_cycle_count(void);",
        "esp_rom_sys.h": "uint32_t esp_rom_get_cpu_ticks_per_us(void);",
        "freertos/FreeRTOS.h": "#define portMAX_DELAY 0xffffffffu\nvoid app_main(void);",
    },
}
"""What the programs that serve a network use of each system, as its documentation has it."""
OTHER_FIELDS = ("architectures", "includes")
CATEGORIES = {
    *("Display", "Communication", "Signal Input/Output", "Sensors", "Device Control", "Timing", "Data Storage"),
    *("Data Processing", "Other"),
}
ARDUINO_ZERO = ("arm-none-eabi-gcc", "arm-none-eabi-g++", ["-mcpu=cortex-m0plus", "-mthumb", "-Os"])
"""And the RP2040; tests/target/test_arduino.py builds with the real core for AVR."""


@pytest.fixture(scope="module")
def built() -> Built:
    """A network named fan."""
    return package(to_integers(draw(3, ["gru_after", "dense"])), "fan")


def _write(built: Built, layout: Layout, folder: Path) -> dict[str, str]:
    program, files = built
    placed = arrange(layout, contents(program), {**files, "report.json": "{}"})
    write_files(folder, placed)
    return placed


def _cmake(folder: Path, *settings: str) -> None:
    require("cmake")
    run(["cmake", "-S", ".", "-B", "build", *settings], folder)
    run(["cmake", "--build", "build"], folder)


def _yaml(text: str) -> object:
    return pytest.importorskip("yaml").safe_load(text)


def test_every_layout_keeps_every_file(built: Built) -> None:
    program, files = built
    assert set(LAYOUTS) == set(get_args(Layout))
    for layout in LAYOUTS:
        placed = arrange(layout, contents(program), files)
        assert {Path(p).name for p in placed} >= {Path(p).name for p in files}
        assert len(placed) == len(files) + len(LAYOUTS[layout]) + (len(ANY) if layout != "plain" else 0)


def test_the_readme_says_what_to_do_with_the_package(built: Built) -> None:
    """Every file and folder that it names is there."""
    program, files = built
    for layout in set(LAYOUTS) - {"plain"}:
        placed = arrange(layout, contents(program), files)
        (use,) = [line for line in placed["README.md"].splitlines() if line.startswith(USE[layout][:9])]
        named = re.findall(r"(?:samples|examples)/\w+|src/fan\.h", use)
        assert not re.search(r"{\w", use) and all(any(p.startswith(f"{folder}/") for p in placed) for folder in named)


def test_an_unknown_layout_is_named(built: Built) -> None:
    program, files = built
    with pytest.raises(UsageError, match="keil"):
        arrange("keil", contents(program), files)  # type: ignore[arg-type]


@pytest.mark.parametrize("layers", [["lstm", "dense"], ["gru_before"], ["dense"]])
def test_the_example_of_use_compiles(layers: Sequence[str], tmp_path: Path) -> None:
    program, files = package(to_integers(draw(5, layers)), "fan")
    write_files(tmp_path, {**files, "use.c": "\n".join(usage(program)) + "\n"})
    run(["gcc", *WARNINGS, "-I.", "-c", "use.c", "-o", "use.o"], tmp_path)
    shown = files["fan.h"].split("#ifndef")[0]
    assert all(line in shown for line in usage(program))


@pytest.mark.parametrize("target", ["portable", "cortex-m0"])
def test_arduino(target: str, tmp_path: Path) -> None:
    placed = _write(package(to_integers(draw(3, ["gru_after", "dense"])), "fan", target), "arduino", tmp_path)
    cc, cxx, flags = ARDUINO_ZERO
    require(cc)
    write_files(tmp_path, {"stubs/Arduino.h": ARDUINO_H})
    for source in sorted(p for p in placed if p.endswith(".c")):
        run([cc, *flags, "-std=gnu11", "-Wall", "-Wextra", "-Werror", "-Isrc", "-c", source, "-o", "out.o"], tmp_path)
    as_cpp = ["-std=gnu++11", "-x", "c++", "-include", "stubs/Arduino.h", "-fno-exceptions"]
    for sketch in ("examples/fan_selftest/fan_selftest.ino", "examples/fan_serve/fan_serve.ino"):
        run([cxx, *flags, *as_cpp, "-Wall", "-Wextra", "-Werror", "-Isrc", "-c", sketch, "-o", "out.o"], tmp_path)


@pytest.mark.parametrize(
    ("layout", "source"), [("zephyr", "samples/serve/src/main.c"), ("esp-idf", "examples/serve/main/main.c")]
)
def test_the_program_that_serves_a_network_compiles(layout: Layout, source: str, built: Built, tmp_path: Path) -> None:
    """Against stand-ins of the system's headers."""
    _write(built, layout, tmp_path)
    write_files(tmp_path, {f"stubs/{name}": text for name, text in SYSTEM_HEADERS[layout].items()})
    warnings = ["-Wall", "-Wextra", "-Wconversion", "-Werror", "-Wno-sign-conversion"]
    run(["gcc", "-std=gnu11", *warnings, "-Istubs", "-Isrc", "-c", source, "-o", "out.o"], tmp_path)


def _properties(placed: Mapping[str, str]) -> Mapping[str, str]:
    parser = configparser.ConfigParser(interpolation=None)
    parser.read_string("[library]\n" + placed["library.properties"])
    return parser["library"]


@pytest.mark.parametrize(
    ("layout", "file", "demanded"),
    [
        ("arduino", "library.properties", "https://onnx.ai"),
        ("cmsis-pack", "rnnc.fan.pdsc", "file://localhost/"),
        ("esp-idf", "idf_component.yml", ""),
        ("platformio", "library.json", ""),
        ("rust", "Cargo.toml", ""),
        ("wasm", "package.json", ""),
    ],
)
def test_build_systems_read_the_page_of_the_package(layout: Layout, file: str, demanded: str, built: Built) -> None:
    program, files = package(built[0].qnet, "fan")
    none, given = (
        arrange(layout, replace(contents(program), url=url), files)[file] for url in ("", "https://example.com/fan")
    )
    assert "https://example.com/fan" in given and len(given.splitlines()) == len(none.splitlines()) + (not demanded)
    assert demanded in none and "example.com" not in none
    if file.endswith(".json"):
        assert json.loads(given)["homepage"] == "https://example.com/fan" and "homepage" not in json.loads(none)


@pytest.mark.parametrize("url", ["gesture", "https://a b", 'https://x"', "ftp://example.com"])
def test_a_page_that_is_no_url_is_refused(url: str) -> None:
    with pytest.raises(UsageError, match="expected a URL"):
        Options(package_url=url)


@pytest.mark.parametrize("name", ["fan", "arduino_fan", "a" * 60])
def test_an_arduino_library_keeps_the_documented_rules_of_arduino_lint(name: str, built: Built) -> None:
    program, files = package(built[0].qnet, name)
    placed = arrange("arduino", contents(program), files)
    properties = _properties(placed)
    assert set(properties) == {*"name version author maintainer sentence paragraph category url".split(), *OTHER_FIELDS}
    assert all(value.strip() for value in properties.values())  # LP014 .. LP042: none is empty
    assert re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9 _.-]{0,62}", properties["name"])  # LP008 .. LP011
    assert not properties["name"].lower().startswith("arduino")  # LP012
    assert properties["version"] == "1.2.3"  # LP017: semantic versioning
    assert not properties["maintainer"].lower().startswith("arduino")  # LP024
    assert not properties["paragraph"].startswith(properties["sentence"])  # LP036
    assert properties["category"] in CATEGORIES  # LP038
    assert re.fullmatch(r"https?://[\w./-]+", properties["url"])  # LP041
    assert properties["architectures"] == "*" and f"src/{properties['includes']}" in placed  # LP045, LP052
    assert {"README.md", "LICENSE"} <= set(placed)  # LD001, LD002
    sketches = [Path(p) for p in placed if p.endswith((".ino", ".pde"))]
    assert [(p.parts[0], p.parent.name) for p in sketches] == [("examples", p.stem) for p in sketches]  # LD003, SS001
    folders = [part for p in placed for part in Path(p).parts]
    assert all(re.fullmatch(r"[A-Za-z0-9][\w.-]{0,62}", part) for part in folders)  # LS002, LS003, SS


def test_arduino_keywords(built: Built) -> None:
    placed = arrange("arduino", contents(built[0]), built[1])
    for line in placed["keywords.txt"].splitlines():
        word, kind = line.split("\t")
        assert word.lower().startswith("fan_") and kind in {"KEYWORD1", "KEYWORD2", "LITERAL1"}


def test_the_version_of_a_package_is_in_what_build_systems_read(built: Built) -> None:
    program, files = built
    placed = {layout: arrange(layout, contents(program, version="4.5.6"), files) for layout in LAYOUTS}
    assert _properties(placed["arduino"])["version"] == "4.5.6"
    assert json.loads(placed["platformio"]["library.json"])["version"] == "4.5.6"
    assert 'version: "4.5.6"' in placed["esp-idf"]["idf_component.yml"]
    assert "project(rnnc_fan VERSION 4.5.6 " in placed["cmake"]["CMakeLists.txt"]
    assert all("Version 4.5.6" in files["README.md"] for layout, files in placed.items() if layout != "plain")


def test_cmake(built: Built, tmp_path: Path) -> None:
    _write(built, "cmake", tmp_path / "fan")
    text = CONSUMER.format(extra="add_subdirectory(fan)", libraries="rnnc_fan_selftest")
    write_files(tmp_path, {"CMakeLists.txt": text, "main.c": MAIN})
    _cmake(tmp_path, "-DCMAKE_C_FLAGS=-Wall -Wextra -Werror")
    run([tmp_path / "build/firmware"], tmp_path)


def test_cmake_alone(built: Built, tmp_path: Path) -> None:
    _write(built, "cmake", tmp_path)
    _cmake(tmp_path)
    assert (tmp_path / "build/librnnc_fan.a").is_file()


def test_zephyr(built: Built, tmp_path: Path) -> None:
    placed = _write(built, "zephyr", tmp_path / "fan")
    module = _yaml(placed["zephyr/module.yml"])
    assert module == {"name": "rnnc_fan", "build": {"cmake": ".", "kconfig": "Kconfig"}}
    assert "config RNNC_FAN\n" in placed["Kconfig"] and "config RNNC_FAN_SELFTEST\n" in placed["Kconfig"]
    text = CONSUMER.format(extra=f"{ZEPHYR}add_subdirectory(fan)\ninclude_directories(fan/src)", libraries="rnnc_fan")
    write_files(tmp_path, {"CMakeLists.txt": text, "main.c": MAIN})
    _cmake(tmp_path, "-DCONFIG_RNNC_FAN=y", "-DCONFIG_RNNC_FAN_SELFTEST=y")
    run([tmp_path / "build/firmware"], tmp_path)


@pytest.mark.parametrize("layout", ["cmake", "zephyr", "esp-idf"])
def test_the_network_is_optimized_whatever_the_build_s_own_level_is(
    layout: Layout, built: Built, tmp_path: Path
) -> None:
    _write(built, layout, tmp_path / "fan")
    text = f"cmake_minimum_required(VERSION 3.13)\nproject(p C)\nadd_compile_options(-Os){ZEPHYR}{ESP_IDF}add_subdirectory(fan)"
    write_files(tmp_path, {"CMakeLists.txt": text})
    require("cmake")
    settings = ["-DCMAKE_EXPORT_COMPILE_COMMANDS=ON", "-DCMAKE_BUILD_TYPE=Debug", "-DCONFIG_RNNC_FAN=y"]
    run(["cmake", "-S", ".", "-B", "build", *settings], tmp_path)
    commands = json.loads((tmp_path / "build/compile_commands.json").read_text())
    (command,) = [c["command"] for c in commands if c["file"].endswith("/fan.c")]
    assert [word for word in command.split() if word.startswith("-O")][-1] == "-O2"


def test_zephyr_builds_nothing_unless_configured(built: Built, tmp_path: Path) -> None:
    _write(built, "zephyr", tmp_path / "fan")
    write_files(
        tmp_path, {"CMakeLists.txt": f"cmake_minimum_required(VERSION 3.13)\nproject(p C){ZEPHYR}add_subdirectory(fan)"}
    )
    _cmake(tmp_path)
    assert not list(tmp_path.glob("build/**/*.a"))


def test_esp_idf(built: Built, tmp_path: Path) -> None:
    placed = _write(built, "esp-idf", tmp_path / "components/fan")
    manifest = _yaml(placed["idf_component.yml"])
    assert isinstance(manifest, dict) and set(manifest) == {"version", "description", "license"}
    text = CONSUMER.format(extra=f"{ESP_IDF}add_subdirectory(components/fan)", libraries="component")
    write_files(tmp_path, {"CMakeLists.txt": text, "main.c": MAIN})
    _cmake(tmp_path)
    run([tmp_path / "build/firmware"], tmp_path)


@pytest.mark.parametrize("model", ['a "b".onnx', "back\\slash.onnx", "new\nline.onnx", "$(shell).onnx", "'#: .onnx"])
def test_the_file_name_of_a_model_breaks_no_manifest(model: str, built: Built) -> None:
    program, files = built
    placed = {layout: arrange(layout, contents(program, model), files) for layout in LAYOUTS}
    assert json.loads(placed["platformio"]["library.json"])["description"].startswith("fan: one time step of ")
    assert isinstance(_yaml(placed["esp-idf"]["idf_component.yml"]), dict)
    (prompt,) = [line for line in placed["zephyr"]["Kconfig"].splitlines() if line.startswith('\tbool "fan: ')]
    assert prompt.count('"') == 2 and "$" not in prompt and "\\" not in prompt
    (sentence,) = [line for line in placed["arduino"]["library.properties"].splitlines() if "one time step" in line]
    assert sentence.startswith("sentence=fan: ")


def test_platformio(built: Built, tmp_path: Path) -> None:
    placed = _write(built, "platformio", tmp_path)
    library = json.loads(placed["library.json"])
    assert library["name"] == "fan" and library["headers"] == "fan.h"
    assert f"src/{library['headers']}" in placed
    assert library["build"] == {"flags": "-O2", "unflags": "-Os -Og"}
    write_files(tmp_path, {"main.c": MAIN})
    run(
        ["gcc", *WARNINGS, "-Isrc", "main.c", *sorted(str(p) for p in Path(tmp_path, "src").glob("*.c")), "-o", "fan"],
        tmp_path,
    )
    assert subprocess.run([tmp_path / "fan"], check=False).returncode == 0
