"""A user's table whose rows are read from the copy that the run keeps."""

from __future__ import annotations

from inncli.data.relations import find_relations
from inncli.data.table_copy import TableCopy
from inncli.tasks.measured.base import Rows
from inncli.tasks.measured.table import Table


class KeptTable(Table):
    """The table as it was read for the training: the same rows, columns and splits, whatever became of the file.

    Args:
        copy: the rows.
        test_fraction: as in `Table`.
        n_train: as in `Table`.
        relations: as in `Table`. They are found again: a run that was killed before its first checkpoint has no others.
    """

    def __init__(self, copy: TableCopy, test_fraction: float, n_train: int | None, relations: bool = True) -> None:
        self._disk, self._copy = None, copy
        self.x, self.y = copy.x, copy.y
        Rows.__init__(self, copy.pairs, f"the kept copy of {copy.file}", test_fraction, n_train)
        self.read_rows, self.dropped = copy.read_rows, copy.dropped
        self._fingerprint = {"file": copy.file, "sha256": copy.sha256}
        if relations:
            self._relate(find_relations(copy.x, copy.pairs.x))

    @property
    def name(self) -> str:
        return "table"

    def rows_to_keep(self) -> TableCopy:
        return self._copy
