"""Breast cancer: thirty measurements of cell nuclei, a density without an observation."""

from __future__ import annotations

from sklearn.datasets import load_breast_cancer

from inncli.data.pairs import Pairs
from inncli.tasks.measured.base import Rows
from inncli.types import Fraction, PositiveInt
from inncli.variables import Variables


class BreastCancer(Rows):
    r"""The 569 rows of scikit-learn's copy of the Wisconsin data, a small table with 30 columns.

    Columns are standardised by mean and sd of all rows, whatever the split: they are the units of the task, the
    same for every model and every seed, and an affine model can't gain by them. (Standardised by the training rows
    of each split, the test log-likelihood of a Gaussian moves by a tenth of its own spread over splits.)
    Malignant and benign rows are mixed, and the diagnosis is not used.

    Args:
        test_fraction: share of the rows set aside for `test_pairs`; which, follows from the seed.
        n_train: rows to train and validate on, at random; None is all but the test rows.

    Reference: Street, Wolberg and Mangasarian 1993, Nuclear feature extraction for breast tumor diagnosis.
    """

    def __init__(self, test_fraction: Fraction = 0.2, n_train: PositiveInt | None = None) -> None:
        table = load_breast_cancer()
        x = (table.data - table.data.mean(0)) / table.data.std(0)
        self.x = Variables(tuple(str(name).replace(" ", "_") for name in table.feature_names))
        super().__init__(Pairs(x), "breast_cancer", test_fraction, n_train)
