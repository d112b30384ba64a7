"""`inn plot`: a group of subcommands, one file a figure, each with its own options.

Contents: `group.plot`, the group; `options`, what several figures share; `kept`, how each of them ends.
"""

from inncli.cli.plot.group import plot

__all__ = ["plot"]
