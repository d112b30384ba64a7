"""Digits: handwritten 8 x 8 images given their class, measured and surjective."""

from __future__ import annotations

import numpy as np
from sklearn.datasets import load_digits

from inncli.data.pairs import Pairs
from inncli.tasks.measured.base import Rows
from inncli.types import Fraction, PositiveInt
from inncli.variables import Variables

SIDE = 8
GREYS = tuple(float(grey) for grey in range(17))


class Digits(Rows):
    r"""The 1,797 handwritten digits that scikit-learn ships: y is the class, x the pixels, row by row.

    A pixel is a grey level 0 (paper) to 16 (ink), the count of inked points in a block of 4 x 4. Many images share
    one y, so p(x | y) is what there is to learn. Densities are those of the dequantised pixel: a recorded g stands
    for g + U(-1/2, 1/2), so that the log density of an image is at most the log probability of its 64 counts.

    Every grey level is a point mass (half of all pixels are 0): a model then scales each pixel by its histogram.
    Pixels that are 0 in all rows (p00, p40 and p47) have the bounds [0, 0]: their cell is uniform noise
    in the density, and they come back as 0 in every draw.

    Args:
        test_fraction: share of the rows set aside for `test_pairs`; which, follows from the seed.
        n_train: rows to train and validate on, at random; None is all but the test rows.

    Reference: Alpaydin and Kaynak 1998, Optical recognition of handwritten digits, UCI machine learning
        repository (its test set).
    """

    image_shape = (SIDE, SIDE)

    def __init__(self, test_fraction: Fraction = 0.2, n_train: PositiveInt | None = None) -> None:
        images = load_digits()
        names = tuple(f"p{row}{column}" for row in range(SIDE) for column in range(SIDE))
        blank = images.data.max(0) == 0
        self.x = Variables(
            names,
            bounds=tuple((0.0, 0.0 if empty else GREYS[-1]) for empty in blank),
            steps=(1.0,) * len(names),
            heaps=tuple((0.0,) if empty else GREYS for empty in blank),
        )
        self.y = Variables(("digit",), labels=(tuple(str(k) for k in images.target_names),))
        pairs = Pairs(images.data, images.target[:, None].astype(np.float64))
        super().__init__(pairs, "digits", test_fraction, n_train)
