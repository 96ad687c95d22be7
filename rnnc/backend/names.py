"""C identifiers from whatever a model calls its tensors. No string of a model reaches the C but through here."""

from __future__ import annotations

import re

KEYWORDS = frozenset(
    """alignas alignof and and_eq asm auto bitand bitor bool break case catch char class compl const constexpr const_cast
    continue decltype default delete do double dynamic_cast else enum explicit export extern false float for friend goto if
    inline int long mutable namespace new noexcept not not_eq nullptr operator or or_eq private protected public register
    reinterpret_cast restrict return short signed sizeof static static_assert static_cast struct switch template this
    thread_local throw true try typedef typeid typename typeof union unsigned using virtual void volatile wchar_t while xor
    xor_eq""".split()
)
C_TYPES = frozenset(
    """int8 int16 int32 int64 uint8 uint16 uint32 uint64 intptr uintptr intmax uintmax int_least8 int_least16 int_least32
    int_least64 uint_least8 uint_least16 uint_least32 uint_least64 int_fast8 int_fast16 int_fast32 int_fast64 uint_fast8
    uint_fast16 uint_fast32 uint_fast64 size ssize ptrdiff wchar max_align nullptr char8 char16 char32 time clock div ldiv lldiv
    imaxdiv fpos mbstate wint wctrans wctype sig_atomic fenv fexcept float double once_flag cnd mtx thrd tss locale error
    blkcnt blksize caddr clockid cookie_io_functions daddr dev fsblkcnt fsfilcnt fsid gid glob id in_addr in_port ino key loff
    mode mqd nfds nlink off pid pthread quad regex regmatch register regoff rlim rsize sa_family sem sigset siginfo socklen
    stack suseconds timer ucontext uid useconds""".split()
)
"""NAME_t is a type of C or POSIX."""
C_HEADERS = frozenset(
    """alloca argz arduino assert ar complex cpio crypt ctype dirent dlfcn elf endian envz err errno error fcntl features
    fenv float fnmatch ftw getopt glob grp iconv inttypes iso646 langinfo libgen limits link locale malloc math memory
    monetary mqueue netdb newlib obstack paths poll pthread pwd reent regex resolv sched search semaphore setjmp sgtty signal
    spawn stdalign stdarg stdatomic stdbool stddef stdint stdio stdlib stdnoreturn string strings syscall syslog tar termio
    termios tgmath threads time uchar ucontext unistd utime utmp values wait wchar wctype wordexp""".split()
)
"""NAME.h is a header that a compiler's own headers include."""
FRAMEWORK_HEADERS = frozenset(
    """adafruit adc audio binary bluetooth board bridge client crc delay device dma driver eeprom esp esplora ethernet
    event_groups fatfs firmata freertos fs gpio gsm i2c init input interrupt irq ir irremote kernel keyboard keypad
    lcd led liquidcrystal list lora lwip mbed midi modem mouse mqtt mutex nvs network pins pins_arduino preferences
    print printable printf pwm queue ram_functions ringbuffer robot_control rtc sd semphr sensor serial server servo
    sntp softwareserial spi spiffs stepper stream system system_config task tft timer timers tone twi twowire uart udp
    update usart usb usb_device watchdog webserver wifi wire wiring wprogram wstring zephyr""".split()
)
"""NAME.h, in any case, is a header of Arduino, an RTOS or a vendor's drivers; NAME_init and the like are their functions."""
NOT_A_PREFIX = (
    C_TYPES
    | C_HEADERS
    | FRAMEWORK_HEADERS
    | frozenset(["rnnc", "main", "std", "linux", "unix", "con", "prn", "aux", "nul"])
)
"""Names whose NAME_t, NAME.h or NAME_... means something already; the last four are no file names on Windows."""
TAKEN = re.compile(
    r"rnnc.*|u?int(ptr|max|(_least|_fast)?\d+)_\w+|(size|ptrdiff|wchar|max_align|ssize)_t|memcpy|memset"
    r"|memcmp|offsetof|linux|unix|errno|stdin|stdout|stderr",
    re.IGNORECASE,
)
"""Names of the emitted C itself, and of the headers that it includes, whatever the network is called."""


def identifier(text: str) -> str:
    """``text`` with every run of other characters as one underscore; begins with a letter; at most 40 characters."""
    plain = re.sub(r"[^A-Za-z0-9]+", "_", text).strip("_")[:40].rstrip("_")
    return plain if plain and plain[0].isalpha() else f"n{plain}"


def prefix(text: str) -> str:
    """The prefix of a whole package: an identifier that collides with no keyword, type or header of C."""
    name = identifier(text).lower()
    if name.startswith("rnnc_"):
        return f"n_{name}"
    return f"{name}_net" if name in NOT_A_PREFIX or name in KEYWORDS else name


class Namer:
    """Gives each thing in a package a name of its own, whatever the case: collisions are numbered.

    Names in capitals are macros in C (NULL, INPUT of Arduino, a project's own N): such a text becomes lower case.
    """

    def __init__(self, package: str, reserved: frozenset[str] = frozenset()) -> None:
        self._own = f"{package}_".lower()
        self._used = {name.lower() for name in KEYWORDS | reserved}

    def name(self, text: str) -> str:
        """An identifier made of ``text`` that was not given before."""
        base = identifier(text)
        base = base if re.search("[a-z]", base) else base.lower()
        if TAKEN.fullmatch(base) or base.lower().startswith(self._own):
            base = f"n_{base}"
        name, k = base, 2
        while name.lower() in self._used:
            name, k = f"{base}_{k}", k + 1
        self._used.add(name.lower())
        return name
