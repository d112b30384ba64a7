"""A file for HDF5 to write, on which a full disk or a limit on the size of files does no harm.

HDF5 1.14 ends the process with a segmentation fault when it can't write what it still holds as it closes a file. So it
never sees an error here: what could not be written is held in memory, and the error is raised when HDF5 is done.
"""

from __future__ import annotations

import io
from pathlib import Path


class Hdf5Sink(io.RawIOBase):
    """What `h5py.File` takes in place of a path to write.

    Attributes:
        error: the first error of a write, None without one; `check` raises it.
    """

    def __init__(self, path: Path) -> None:
        self._file = io.FileIO(path, "w+")
        self._at = 0
        self._held: list[tuple[int, bytes]] = []  # places and bytes that could not be written
        self.error: OSError | None = None

    def check(self) -> None:
        """Raises the first error of a write. A writer calls it after each block, so that little is held."""
        if self.error is not None:
            raise self.error

    def write(self, data: object) -> int:
        block = bytes(data)  # type: ignore[call-overload]  # any buffer of h5py
        done = 0
        try:
            self._file.seek(self._at)
            while done < len(block):
                done += self._file.write(block[done:])
        except OSError as error:
            self.error = self.error or error
            self._held.append((self._at + done, block[done:]))
        self._at += len(block)
        return len(block)

    def readinto(self, buffer: object) -> int:
        view = memoryview(buffer).cast("B")  # type: ignore[arg-type]  # as above
        self._file.seek(self._at)
        there = self._file.read(len(view)) or b""
        view[:] = there.ljust(len(view), b"\0")
        for place, block in self._held:
            first, last = max(place, self._at), min(place + len(block), self._at + len(view))
            if first < last:
                view[first - self._at : last - self._at] = block[first - place : last - place]
        self._at += len(view)
        return len(view)

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        if whence == io.SEEK_END:
            ends = [self._file.seek(0, io.SEEK_END), *(place + len(block) for place, block in self._held)]
            offset += max(ends)
        self._at = offset + (self._at if whence == io.SEEK_CUR else 0)
        return self._at

    def tell(self) -> int:
        return self._at

    def truncate(self, size: int | None = None) -> int:
        size = self._at if size is None else size
        try:
            return self._file.truncate(size)
        except OSError as error:
            self.error = self.error or error
            return size

    def readable(self) -> bool:
        return True

    def writable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def close(self) -> None:
        if not self.closed:
            self._file.close()
        super().close()
