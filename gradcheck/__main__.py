"""The command `gradcheck`, which is also `python -m gradcheck`."""

from __future__ import annotations

from gradcheck.interruption import end_at_once


def main() -> None:
    """Run the command line; Ctrl-C ends it cleanly from here on, while it is loaded too."""
    end_at_once()
    from gradcheck.cli.app import main as command_line  # a tenth of a second

    command_line()


if __name__ == "__main__":
    main()
