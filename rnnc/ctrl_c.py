"""The first line of the program's own: from here on Ctrl-C ends it. There is nothing to clean up yet, and next to no import."""

import os
import signal

INTERRUPTED = 130
"""What shells say of a program that SIGINT ends."""
WORDS = "rnnc: interrupted\n"


def end_at_once() -> None:
    """Until ``rnnc.interruption.listen``: SIGINT says so in a line and ends this process. For the main thread."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _end)


def _end(*_: object) -> None:
    os.write(2, WORDS.encode())
    os._exit(INTERRUPTED)
