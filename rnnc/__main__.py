"""``python -m rnnc``, and the command ``rnnc``: the command line. To import it is to start it: Ctrl-C ends the process."""

import os
import sys

from rnnc.ctrl_c import end_at_once

end_at_once()


def main() -> None:
    """Run the command line; what it imports may be interrupted as well.

    In the POSIX locale Python takes names of files and arguments as ASCII; it starts again as on every other machine.
    """
    if sys.getfilesystemencoding() == "ascii":
        os.execv(sys.executable, [sys.executable, "-X", "utf8", *sys.orig_argv[1:]])
    from rnnc.interruption import listen

    listen()
    from rnnc.cli import main as run

    run()


if __name__ == "__main__":
    main()
