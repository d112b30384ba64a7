"""What streamed tables, sets made in blocks and loggers could get wrong."""

from defects._mutation import Defect

DEFECTS = [
    Defect(
        "the split goes by the row's place and parts equal rows",
        "inncli.data.stream:uniform",
        "rows.T",
        "[np.arange(float(len(rows)))]",
        "test_stream::test_equal_rows_stay_on_one_side_and_the_split_ignores_the_blocks",
    ),
    Defect(
        "a resumed epoch begins a batch late",
        "inncli.data.stream:StreamedPairs.batches",
        "at = first * size",
        "at = first * (size + 1)",
        "test_stream::test_an_epoch_is_a_function_of_seed_and_number_and_can_be_joined_anywhere",
    ),
    Defect(
        "rows keep their order within the buffer",
        "inncli.data.stream:StreamedPairs._buffer",
        "np.random.default_rng([self._seed, ROWS, epoch, blocks[0]]).permutation(rows)",
        "np.random.default_rng([self._seed, ROWS, epoch, blocks[0]]).permutation(rows) * 0 + np.arange(rows)",
        "test_stream::test_rows_of_a_sorted_table_are_mixed",
    ),
    Defect(
        "the end of a buffer is dropped",
        "inncli.data.stream:StreamedPairs.batches",
        "left = np.concatenate([left, rows])",
        "left = left[:0]",
        "test_stream::test_an_epoch_is_a_function_of_seed_and_number_and_can_be_joined_anywhere",
    ),
    Defect(
        "a rare value off the grid is missed",
        "inncli.data.scan:Scan.__init__",
        "[*parts, [low, high], list(witness.values())]",
        "[*parts, [low, high]]",
        "test_stream::test_one_value_off_the_grid_in_a_hundred_thousand_is_noticed",
    ),
    Defect(
        "all values are kept for the facts",
        "inncli.data.scan:Scan.__init__",
        "min(SAMPLED, memory / (32 * n))",
        "table.blocks.rows",
        "test_stream::test_an_epoch_stays_within_the_memory",
    ),
    Defect(
        "a file that changes meanwhile is read on",
        "inncli.data.chunks:Blocks.read",
        "self._now() != self._stamp",
        "False",
        "test_stream::test_a_file_that_is_cut_short_or_changes_is_named",
    ),
    Defect(
        "every block draws from the same stream",
        "inncli.inference.trained_model:TrainedModel.posterior_blocks",
        '(seed, "sample", obs, draw)',
        '(seed, "sample")',
        "test_blocks::test_the_first_block_is_the_set_of_one_block_and_no_draw_depends_on_the_total[rnvp]",
    ),
    Defect(
        "the last block is as short as it need be",
        "inncli.inference.trained_model:TrainedModel.posterior_blocks",
        "min(n, BLOCK)",
        "min(n - draw, BLOCK)",
        "test_blocks::test_the_first_block_is_the_set_of_one_block_and_no_draw_depends_on_the_total[rnvp]",
    ),
    Defect(
        "the sd forgets that block means differ",
        "inncli.inference.summary:Column.add",
        "float(((values - self._start - middle) ** 2).sum()) + step**2 * self._n * n / total",
        "float(((values - self._start - middle) ** 2).sum())",
        "test_blocks::test_mean_and_sd_are_exact_and_quantiles_are_off_by_a_bin_at_most[drifting]",
    ),
    Defect(
        "draws are numbered anew in each block",
        "inncli.inference.posterior_files:_stream_table",
        "_columns(part, obs, draw)",
        "_columns(part, obs)",
        "test_blocks::test_a_file_written_in_blocks_reads_as_one_written_at_once[rnvp-2005-1-.parquet]",
    ),
    Defect(
        "a failing logger ends the training",
        "inncli.loggers.base:Tracker._warning",
        "Exception",
        "ZeroDivisionError",
        "test_logger::test_a_failed_logger_is_asked_no_more",
    ),
    Defect(
        "a resumed run is a new one in MLflow",
        "inncli.loggers.mlflow:MLflow.start",
        'known.get("mlflow_run")',
        "False",
        "test_logger::test_mlflow_goes_on_with_the_same_run",
    ),
]
