"""The commands wired together, and the one place where an error becomes a line and an exit code."""

from __future__ import annotations

import errno
import logging
import os
import re
import sys
import time
import traceback
from typing import Annotated, Any

import typer

from inncli._version import __version__
from inncli.cli import console
from inncli.cli.lazy import LazyGroup, new_app
from inncli.errors import InnError, RequestError, did_you_mean
from inncli.io import standard_streams, torchrun
from inncli.io.harmless import harmless
from inncli.io.permissions import closed
from inncli.training import stop_signals


class Commands(LazyGroup):
    """The commands of `inn`."""

    package = "inncli.cli"
    lines = {
        "train": "Train a model on a task and keep it in a new run directory.",
        "resume": "Continue what was stopped, killed or failed, bit for bit as if it never had been.",
        "invert": "Draw the causes x of an observation y.",
        "sample": "Draw x, or pairs (x, y), without an observation.",
        "density": "Compute log p(x), or log p(x | y), in the units of your own data.",
        "evaluate": "Say what a run is worth: numbers on held-out pairs, with error bars, and a verdict for each "
        "question.",
        "compare": "Compare runs in one table: metrics by column, seeds taken together as mean +- sd, the best marked.",
        "runs": "List the runs under $INN_OUTPUTS (default ./outputs), the newest last.",
        "show": "Show a run: its state, its metrics, its config, its task and its model's health.",
        "plot": "Draw a picture of a run as PNG, SVG or PDF and print where it is.",
        "report": "Write one HTML file that says what a run is and what it is worth, and print where it is.",
        "doctor": "Check the installation, and with --run the files of a run.",
    }


app = new_app(Commands, name="inn", context_settings={"help_option_names": ["--help", "-h"], "max_content_width": 110})


def _version(wanted: bool) -> None:
    if wanted:
        print(f"inn {__version__}")
        raise typer.Exit()


@app.callback()
def root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and leave.")
    ] = False,
    debug: Annotated[
        bool, typer.Option("--debug", help="Print the traceback of an error; works in any place.")
    ] = False,
) -> None:
    """Invertible neural networks from the command line: which x could have caused this y?

    \b
    Start:
      inn train                          train the default model on the default task
      inn invert --y 0.3                 draw the causes of y = 0.3 from the latest run
      inn plot posterior                 look at them
    \b
    Your own table:
      inn train task=table task.file=mixes.csv 'task.y=[strength]'
      inn invert --y strength=40

    Runs are kept under $INN_OUTPUTS (default ./outputs); `inn runs` lists them.
    """


def main(argv: list[str] | None = None) -> int:
    """Runs one command line and returns its exit code: 0 done, 1 failed, 2 wrong request, 130 interrupted.

    An error is exactly one line on stderr; `--debug` shows the traceback instead.
    """
    words = list(sys.argv[1:] if argv is None else argv)
    stop_signals.end_as_ctrl_c_does()  # a scheduler's kill, a closed terminal
    standard_streams.secure()
    logging.raiseExceptions = False  # a line of a log that can't be written is no reason for a traceback
    debug = "--debug" in words
    words = [word for word in words if word != "--debug"] or ["--help"]
    if not _has_working_folder() and not {"--help", "-h", "--version"}.intersection(words):
        console.note("the working folder is gone, or closed to you; change to another: cd")
        return RequestError.exit_code
    try:
        if any("\0" in word for word in words):
            raise RequestError("a word holds a NUL, which no name may; leave it out")
        code = typer.main.get_command(app).main(args=words, prog_name="inn", standalone_mode=False)
        sys.stdout.flush()
        code = code if isinstance(code, int) else 0
        if code == 130:
            print("interrupted", file=sys.stderr)
        return code
    except SystemExit as stop:  # shell completion leaves this way, and typer where a pipe that is written to is closed
        if isinstance(stop.__context__, BrokenPipeError):
            return _failed(stop.__context__, words, debug)
        return stop.code if isinstance(stop.code, int) else 0
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
    except Exception as error:  # the last stop: whatever it is, the user gets one line
        return _failed(error, words, debug)


def _failed(error: Exception, words: list[str], debug: bool) -> int:
    """Says what went wrong and returns the exit code."""
    if isinstance(error, OSError):
        _forget_failing_stdout()
    if _said_elsewhere(error):
        return _exit_code(error)
    if debug:
        sys.stderr.write(harmless("".join(traceback.format_exception(error))))
    else:
        console.note(" ".join(_line(error, words).split()))
    return _exit_code(error)


def _said_elsewhere(error: Exception) -> bool:
    """Whether another of torchrun's processes says it: all see what is wrong with a request, the first speaks.

    Its end makes torchrun end the others, which have this long; one that is still there was alone in seeing it.
    """
    if not isinstance(error, RequestError) or not torchrun.rank():
        return False
    try:
        time.sleep(10)
    except KeyboardInterrupt:
        return True
    return False


def _has_working_folder() -> bool:
    """Whether the folder that this was started in is still there."""
    try:
        os.getcwd()
    except OSError:
        return False
    return True


def _exit_code(error: Exception) -> int:
    if isinstance(error, OSError) and error.errno == errno.ENAMETOOLONG:
        return RequestError.exit_code
    # typer's own errors are known by their looks: it vendors click, which must not be imported.
    if isinstance(error, PermissionError):
        return RequestError.exit_code
    known = isinstance(error, InnError) or hasattr(error, "format_message")
    return int(getattr(error, "exit_code", 1)) if known else 1


def _line(error: Exception, words: list[str]) -> str:
    if isinstance(error, InnError):
        return console.said(error)
    if hasattr(error, "format_message"):
        return _usage(error, words)
    if isinstance(error, PermissionError) and error.filename:
        return str(closed(error.filename))
    if isinstance(error, OSError) and error.errno == errno.ENAMETOOLONG:
        name = str(error.filename)
        return f"{name[:60]}... has {len(name):,} letters, more than a file's name may have; shorten it"
    if isinstance(error, OSError) and error.filename:
        return f"{error.filename}: {error.strerror}; free the place or name another"
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO):
        # Our files name themselves (`files.atomic_path`), stdout has no name.
        return f"the output can't be written: {error.strerror}; free the place or send it elsewhere"
    if isinstance(error, MemoryError) or re.search("can't allocate memory|out of memory", str(error), re.IGNORECASE):
        asked = re.search(r"allocate ([\d.]+ \w+)", str(error))
        return f"not enough memory{f' for {asked[1]} more' if asked else ''}; ask for less, or free some"
    return f"internal error, {type(error).__name__}: {error}; run it again with --debug and report the traceback"


def _usage(error: Any, words: list[str]) -> str:
    """One line for a command line that typer could not parse."""
    if error.ctx is not None:
        asked = error.ctx.command_path
    else:  # an option that lacks its value
        asked = f"inn {words[0]}" if words[0] in Commands.lines else "inn"
    option = getattr(error, "option_name", None)
    if option is not None and hasattr(error, "possibilities"):
        known = [name for parameter in error.ctx.command.params if not parameter.hidden for name in parameter.opts]
        return f"{asked} has no option {option}{did_you_mean(option, known) or f'; try `{asked} --help`'}"
    text = error.format_message().split("\n")[0].rstrip(".")
    if text.startswith("No such command"):
        return f"inn has no command {words[0]!r}{did_you_mean(words[0], Commands.lines) or '; try `inn --help`'}"
    return f"{text[0].lower()}{text[1:]}; try `{asked} --help`"


def _forget_failing_stdout() -> None:
    """Python would try to write what is left as it ends, and say that it failed in lines of its own."""
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
