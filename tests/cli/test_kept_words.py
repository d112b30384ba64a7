"""What a training says of the weights that it kept."""

import pytest

from inncli.cli.training_job import kept_words


@pytest.mark.parametrize(
    "epoch, best, last, start, word",
    [
        (9, 1.0, 1.01, 2.0, None),
        (9, 1.0, 51.0, 1.3, "kept epoch 9: from there on it over-fits, val_loss ends at 51.0000"),
        (0, 1.3, 4.0, 1.3, "kept the start, a linear fit: no epoch did better"),
    ],
)
def test_the_end_is_said_where_it_was_not_kept(epoch, best, last, start, word):
    said = kept_words({"best_epoch": epoch, "val_loss": best, "val_loss_last": last, "val_loss_untrained": start})
    assert said is None if word is None else said.startswith(word)


def test_a_run_without_held_out_pairs_says_nothing():
    assert kept_words({"best_epoch": 3}) is None
