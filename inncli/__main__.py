"""`python -m inncli` is `inn`."""

from __future__ import annotations

from inncli.cli.app import entry

if __name__ == "__main__":
    entry()
