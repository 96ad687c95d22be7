"""A serial line of this machine: bytes out, bytes in, by the operating system's terminal interface (POSIX)."""

from __future__ import annotations

import errno
import os
import select
import sys
import time
from types import TracebackType

from rnnc.errors import MissingTool, UsageError

DEFAULT_BAUD = 115200
STUCK = 10.0
"""Seconds in which a device must take another byte."""
ACCESS = {
    errno.EACCES: "Add yourself to the group of the device (on Debian: adduser USER dialout), and log in again.",
    errno.EBUSY: "Another program has it open: a serial monitor, a debugger?",
    errno.ENOENT: "Is the board connected, and switched on? Devices are named /dev/ttyACM0, /dev/ttyUSB0, /dev/cu.usbmodem*.",
}


class SerialLine:
    """A device, opened without echo, flow control and translations; a context manager.

    Args:
        baud: bits a second; a board that is an USB device itself takes any.

    Raises UsageError where the device does not open or has no such rate; MissingTool where the system has no such interface.
    """

    def __init__(self, device: str, baud: int = DEFAULT_BAUD) -> None:
        if sys.platform == "win32":
            raise MissingTool(
                "serial ports of Windows are not supported",
                hint="Run rnnc in WSL and attach the board to it (usbipd attach --wsl): it is /dev/ttyACM0 there.",
            )
        self.device, self.baud = device, baud
        try:
            self._fd = os.open(device, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
        except OSError as error:
            what = f"--port {device}: {error.strerror}"
            raise UsageError(what, hint=ACCESS.get(error.errno or 0, "")) from None
        try:
            _make_raw(self._fd, device, baud)
        except BaseException:
            os.close(self._fd)
            raise

    def __enter__(self) -> SerialLine:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.close(self._fd)

    def seconds(self, count: int) -> float:
        """How long so many bytes take: 10 bits each."""
        return 10 * count / self.baud

    def write(self, data: bytes) -> None:
        """Send bytes, waiting where the system takes no more; raises UsageError where the device has gone, or takes none."""
        while data:
            try:
                data = data[os.write(self._fd, data) :]
            except BlockingIOError:
                if not select.select([], [self._fd], [], STUCK)[1]:
                    what = f"--port {self.device}: the device takes no bytes for {STUCK:g} s"
                    raise UsageError(what, hint="Does the firmware still run? Reset the board.") from None
            except OSError as error:
                raise self._gone(error) from None

    def read(self, seconds: float) -> bytes:
        """What has come, at once where something has, else within ``seconds``; b"" for nothing.

        Raises UsageError where the device has gone.
        """
        try:
            ready, _, _ = select.select([self._fd], [], [], max(0.0, seconds))
            return os.read(self._fd, 4096) if ready else b""
        except BlockingIOError:
            return b""
        except OSError as error:
            raise self._gone(error) from None

    def drain(self, seconds: float) -> None:
        """Discard what comes until nothing has come for ``seconds``, for 20 times that at most."""
        end = time.monotonic() + 20 * seconds
        while self.read(seconds) and time.monotonic() < end:
            pass

    def _gone(self, error: OSError) -> UsageError:
        return UsageError(
            f"--port {self.device}: the device has gone: {error.strerror}", hint="Was the board unplugged?"
        )


def _make_raw(fd: int, device: str, baud: int) -> None:
    """Eight bits, no parity, one stop bit, and nothing between the program and the line."""
    import termios
    import tty

    speed = getattr(termios, f"B{baud}", None)
    if speed is None or baud <= 0:
        known = sorted(int(name[1:]) for name in dir(termios) if name[0] == "B" and name[1:].isdigit())
        raise UsageError(f"--baud {baud}: no rate of this system", hint=f"One of: {', '.join(map(str, known[1:]))}.")
    try:
        tty.setraw(fd, termios.TCSANOW)
        mode = termios.tcgetattr(fd)
        mode[2] = (mode[2] | termios.CLOCAL | termios.CREAD) & ~(termios.CSTOPB | termios.HUPCL)
        mode[4] = mode[5] = speed
        termios.tcsetattr(fd, termios.TCSANOW, mode)
        termios.tcflush(fd, termios.TCIOFLUSH)
    except termios.error as error:
        raise UsageError(f"--port {device}: it is no serial port: {error.args[-1]}") from None
