"""``python -m rnnc``: the command line."""

from rnnc.cli import main

main()
