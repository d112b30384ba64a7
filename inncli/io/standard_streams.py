"""stdout and stderr: they carry any text in what their encoding has, and it does not matter if nobody reads them.

A terminal or pipe may not be UTF-8 (`LC_ALL=C`, `PYTHONIOENCODING=latin-1`). Lines and signs are then drawn with ASCII,
and other letters are spelt out as JSON does.

Whoever reads a stream may go away: `inn train 2>&1 | head -1`, a terminal that is closed. What nobody reads then goes
nowhere and the work goes on. This holds for all that a process writes, by whatever library, so each process that inn
starts calls `secure` once.
"""

from __future__ import annotations

import codecs
import errno
import io
import os
import stat
import sys
from collections.abc import Iterator

NAMES = {1: "stdout", 2: "stderr"}  # by their descriptors
_ERRORS = "inn.drawn"  # the name of `_drawn` among Python's error handlers
_LINES = {**dict.fromkeys("─━═╌┄╴╶╸╺╼╾", "-"), **dict.fromkeys("│┃║╎┆", "|")}
_SIGNS = {"…": "...", "−": "-", "–": "-", "—": "-", "±": "+-", "×": "x", "·": ".", "•": "*", "µ": "u", "²": "^2"}


class _Stream(io.FileIO):
    """A descriptor whose writes go nowhere once nobody reads it.

    Attributes:
        unread: whether that has happened.
    """

    def __init__(self, number: int) -> None:
        super().__init__(number, "wb", closefd=False)
        self.unread = False

    def write(self, data: object) -> int | None:  # type: ignore[override]  # the stub names a private type
        try:
            return super().write(data)  # type: ignore[arg-type]
        except OSError as error:
            if self._is_gone(error):
                self.unread = True
                nowhere = os.open(os.devnull, os.O_WRONLY)
                os.dup2(nowhere, self.fileno())  # for libraries in C and for processes that start later, too
                os.close(nowhere)
            elif self.fileno() != 2:
                raise  # a full disk, say: the result is lost, which must be said
            return len(memoryview(data))  # type: ignore[arg-type]

    def _is_gone(self, error: OSError) -> bool:
        """Whether the reader is gone: the pipe's, or the terminal's, which gives an error of its own."""
        return error.errno == errno.EPIPE or (
            error.errno == errno.EIO and stat.S_ISCHR(os.fstat(self.fileno()).st_mode)
        )


def secure() -> None:
    """Makes this process's stdout and stderr as described above. A stream that Python code has put there is kept."""
    codecs.register_error(_ERRORS, _drawn)
    for number, name in NAMES.items():
        stream = getattr(sys, name)
        if stream is None:
            stream = _opened(number)
        if _stream_of(stream) is not None or not _is_own(stream, number):
            continue
        stream.flush()
        raw = _Stream(number)
        secured = io.TextIOWrapper(
            raw if stream.write_through else io.BufferedWriter(raw),  # as Python does with -u
            encoding=stream.encoding,
            errors=_ERRORS,
            line_buffering=stream.line_buffering,
            write_through=stream.write_through,
        )
        setattr(sys, name, secured)


def is_unread() -> bool:
    """Whether the reader of stdout is known to be gone."""
    stream = _stream_of(sys.stdout)
    return stream is not None and stream.unread


def carries_all(stream: object) -> bool:
    """Whether the encoding of a stream has every letter."""
    encoding = getattr(stream, "encoding", None) or "utf-8"
    return codecs.lookup(encoding).name.startswith("utf")


def _opened(number: int) -> io.TextIOWrapper:
    """A stream for a descriptor that who started us, a daemon say, has closed: what is said goes nowhere."""
    free = os.open(os.devnull, os.O_WRONLY)
    if free != number:
        os.dup2(free, number)
        os.close(free)
    os.set_inheritable(number, True)  # in child processes too
    return os.fdopen(number, "w", encoding="utf-8", closefd=False)


def _is_own(stream: object, number: int) -> bool:
    """Whether it is Python's own text stream on this descriptor."""
    return type(stream) is io.TextIOWrapper and isinstance(_raw(stream), io.FileIO) and stream.fileno() == number


def _stream_of(stream: object) -> _Stream | None:
    raw = _raw(stream)
    return raw if isinstance(raw, _Stream) else None


def _raw(stream: object) -> object:
    """What a text stream writes to in the end."""
    buffer = getattr(stream, "buffer", None)
    return getattr(buffer, "raw", buffer)  # without a buffer of its own, the descriptor itself


def _drawn(error: UnicodeError) -> tuple[str, int]:
    """Python's error handler for text that a stream can't carry."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return "".join(_spelt(error.object[error.start : error.end])), error.end


def _spelt(text: str) -> Iterator[str]:
    for letter in text:
        if letter in _LINES or letter in _SIGNS:
            yield _LINES.get(letter) or _SIGNS[letter]
        elif "\u2500" <= letter <= "\u257f":  # corners and crossings
            yield "+"
        else:
            units = letter.encode("utf-16-be", "surrogatepass")
            yield "".join(f"\\u{units[i : i + 2].hex()}" for i in range(0, len(units), 2))
