"""``python -m rnnc``, and the command ``rnnc``: the command line."""

from rnnc.interruption import listen


def main() -> None:
    """Run the command line; what it imports may be interrupted as well."""
    listen()
    from rnnc.cli import main as run

    run()


if __name__ == "__main__":
    main()
