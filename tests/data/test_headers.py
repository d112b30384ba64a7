"""A few bytes that declare a table of any size."""

import io
import zipfile

import numpy as np
import pytest

from inncli.data.chunks import open_blocks
from inncli.data.tables import read_table
from inncli.errors import DataError
from inncli.io.npz import read_npz


@pytest.fixture(params=[".npy", ".npz"])
def huge(tmp_path, request):
    path = tmp_path / f"huge{request.param}"
    data = io.BytesIO()
    np.lib.format.write_array_header_1_0(data, {"descr": "<f8", "fortran_order": False, "shape": (10**14, 1)})
    data.write(bytes(80))
    if path.suffix == ".npy":
        path.write_bytes(data.getvalue())
    else:
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("x.npy", data.getvalue())
    return path


def test_a_header_is_held_against_the_size_of_the_file(huge):
    for read in (read_table, open_blocks):
        with pytest.raises(DataError, match="declares 800,000,000,000,000 bytes of shape"):
            read(huge)
    if huge.suffix == ".npz":
        with pytest.raises(ValueError, match="declares 800,000,000,000,000 bytes of shape"):
            read_npz(huge)


def test_the_list_of_an_archive_is_held_against_its_size(tmp_path):
    """Of an array that is not compressed, the list may name any size: here that of the header."""
    data = io.BytesIO()
    np.lib.format.write_array_header_1_0(data, {"descr": "<f8", "fortran_order": False, "shape": (10**8, 1)})
    with zipfile.ZipFile(tmp_path / "x.npz", "w") as archive:
        archive.writestr("x.npy", data.getvalue())
    packed = bytearray((tmp_path / "x.npz").read_bytes())
    at = packed.index(b"PK\x01\x02") + 20  # the sizes in the central directory
    declared = len(data.getvalue()) + 8 * 10**8
    packed[at : at + 8] = declared.to_bytes(4, "little") * 2
    (tmp_path / "x.npz").write_bytes(packed)
    with pytest.raises(DataError, match="declares more than the file holds"):
        open_blocks(tmp_path / "x.npz")
    with pytest.raises(DataError, match="not a readable NPZ"):
        read_table(tmp_path / "x.npz")
