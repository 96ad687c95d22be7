"""Parts that --target names: the core of each, its clock, its memories, and where the figures are from."""

from __future__ import annotations

from dataclasses import dataclass, replace

from rnnc.errors import UsageError

KB, MB = 1 << 10, 1 << 20
TARGET_OF_CORE = {
    "Cortex-M0": "cortex-m0",
    "Cortex-M0+": "cortex-m0",
    "Cortex-M3": "cortex-m3",
    "Cortex-M4": "cortex-m4",
    "Cortex-M7": "cortex-m7",
    "Cortex-M33": "cortex-m33",
    "Cortex-M55": "cortex-m55",
    "RV32IMC": "rv32imc",
    "LX106": "xtensa",
    "AVR": "avr",
}


@dataclass(frozen=True)
class TargetPart:
    """A microcontroller.

    Args:
        name: as --target takes it.
        core: as verification.pipelines names it, or AVR.
        mhz: its highest clock, MHz.
        flash: bytes that programs may take; of a part without flash, of the chip that its boards have.
        ram: bytes, banks of different kinds together.
        waits: what reading its flash costs at that clock and what hides it, which no estimate counts; "" for nothing.
        source: the document that says so.
    """

    name: str
    core: str
    mhz: float
    flash: int
    ram: int
    waits: str
    source: str

    @property
    def target(self) -> str:
        """What it is compiled for."""
        return TARGET_OF_CORE[self.core]

    def milliseconds(self, cycles: int) -> float:
        """How long so many cycles take."""
        return cycles / self.mhz / 1e3

    def at(self, mhz: float | None) -> TargetPart:
        """The same at another clock; raises UsageError for none that is above 0."""
        if mhz is not None and not mhz > 0:
            raise UsageError(f"--clock {mhz:g}: must be above 0")
        return self if mhz is None else replace(self, mhz=mhz)


XIP = "external flash behind a cache"
PARTS = {
    p.name: p
    for p in (
        TargetPart("stm32f030f4", "Cortex-M0", 48, 16 * KB, 4 * KB, "1 wait state, prefetched", "ST DS9773"),
        TargetPart("stm32f103c8", "Cortex-M3", 72, 64 * KB, 20 * KB, "2 wait states, prefetched", "ST DS5319"),
        TargetPart(
            "stm32f401re", "Cortex-M4", 84, 512 * KB, 96 * KB, "2 wait states behind an accelerator", "ST DS10086"
        ),
        TargetPart(
            "stm32f411re", "Cortex-M4", 100, 512 * KB, 128 * KB, "3 wait states behind an accelerator", "ST DS10314"
        ),
        TargetPart(
            "stm32f446re", "Cortex-M4", 180, 512 * KB, 128 * KB, "5 wait states behind an accelerator", "ST DS10693"
        ),
        TargetPart(
            "stm32f746zg", "Cortex-M7", 216, 1 * MB, 320 * KB, "7 wait states behind an accelerator", "ST DS10916"
        ),
        TargetPart(
            "stm32g071rb", "Cortex-M0+", 64, 128 * KB, 36 * KB, "2 wait states, prefetched and cached", "ST DS12232"
        ),
        TargetPart(
            "stm32g474re", "Cortex-M4", 170, 512 * KB, 128 * KB, "4 wait states behind an accelerator", "ST DS12288"
        ),
        TargetPart("stm32h743zi", "Cortex-M7", 480, 2 * MB, 1 * MB, "4 wait states behind a cache", "ST DS12110"),
        TargetPart("stm32l053r8", "Cortex-M0+", 32, 64 * KB, 8 * KB, "1 wait state, prefetched", "ST DS10152"),
        TargetPart("stm32l476", "Cortex-M4", 80, 1 * MB, 128 * KB, "4 wait states behind an accelerator", "ST DS10198"),
        TargetPart("stm32u585", "Cortex-M33", 160, 2 * MB, 786 * KB, "4 wait states behind a cache", "ST DS13086"),
        TargetPart("stm32wb55", "Cortex-M4", 64, 1 * MB, 256 * KB, "3 wait states behind an accelerator", "ST DS11929"),
        TargetPart("nrf51822", "Cortex-M0", 16, 256 * KB, 16 * KB, "", "Nordic nRF51822 PS"),
        TargetPart(
            "nrf52832", "Cortex-M4", 64, 512 * KB, 64 * KB, "2 wait states behind a cache", "Nordic nRF52832 PS"
        ),
        TargetPart("nrf52840", "Cortex-M4", 64, 1 * MB, 256 * KB, "2 wait states behind a cache", "Nordic nRF52840 PS"),
        TargetPart(
            "nrf5340",
            "Cortex-M33",
            128,
            1 * MB,
            512 * KB,
            "wait states behind a cache",
            "Nordic nRF5340 PS",
        ),
        TargetPart(
            "rp2040", "Cortex-M0+", 133, 2 * MB, 264 * KB, XIP, "Raspberry Pi RP2040 datasheet, flash of the Pico"
        ),
        TargetPart(
            "rp2350", "Cortex-M33", 150, 4 * MB, 520 * KB, XIP, "Raspberry Pi RP2350 datasheet, flash of the Pico 2"
        ),
        TargetPart(
            "samd21g18", "Cortex-M0+", 48, 256 * KB, 32 * KB, "1 wait state behind a cache", "Microchip DS40001882"
        ),
        TargetPart(
            "samd51j19", "Cortex-M4", 120, 512 * KB, 192 * KB, "5 wait states behind a cache", "Microchip DS60001507"
        ),
        TargetPart("imxrt1062", "Cortex-M7", 600, 8 * MB, 1 * MB, XIP, "NXP IMXRT1060CEC, flash of the Teensy 4.1"),
        TargetPart("esp32c3", "RV32IMC", 160, 4 * MB, 400 * KB, XIP, "Espressif ESP32-C3 datasheet"),
        TargetPart("esp32c6", "RV32IMC", 160, 4 * MB, 512 * KB, XIP, "Espressif ESP32-C6 datasheet, HP core"),
        TargetPart("esp8266", "LX106", 160, 4 * MB, 50 * KB, XIP, "Espressif ESP8266EX datasheet"),
        TargetPart("gd32vf103cb", "RV32IMC", 108, 128 * KB, 32 * KB, "", "GigaDevice GD32VF103 datasheet"),
        TargetPart("atmega328p", "AVR", 16, 32 * KB, 2 * KB, "", "Microchip DS40002061, clock of the Arduino Uno"),
        TargetPart("atmega32u4", "AVR", 16, 32 * KB, 2560, "", "Atmel 7766, clock of the Arduino Leonardo"),
        TargetPart("atmega1284p", "AVR", 20, 128 * KB, 16 * KB, "", "Atmel 42719"),
        TargetPart("atmega2560", "AVR", 16, 256 * KB, 8 * KB, "", "Atmel 2549, clock of the Arduino Mega"),
    )
}
