"""What streamed tables, sets made in blocks and loggers could get wrong."""

STREAM, BLOCKS, LOGGER = "tests/test_stream.py", "tests/test_blocks.py", "tests/test_logger.py"
TASK = "inncli/data/stream.py"
DEFECTS = [
    (
        "the split goes by the row's place and parts equal rows",
        TASK,
        "    for column in rows.T:\n        mixed ^= (column",
        "    for column in [np.arange(float(len(rows)))]:\n        mixed ^= (column",
        f"{STREAM}::test_equal_rows_stay_on_one_side_and_the_split_ignores_the_blocks",
    ),
    (
        "a resumed epoch begins a batch late",
        TASK,
        "at = first * size  # rows",
        "at = first * (size + 1)  # rows",
        f"{STREAM}::test_an_epoch_is_a_function_of_seed_and_number_and_can_be_joined_anywhere",
    ),
    (
        "rows keep their order within the buffer",
        TASK,
        ".permutation(rows)\n        at = 0",
        ".permutation(rows) * 0 + np.arange(rows)\n        at = 0",
        f"{STREAM}::test_rows_of_a_sorted_table_are_mixed",
    ),
    (
        "the end of a buffer is dropped",
        TASK,
        "left = np.concatenate([left, rows])",
        "left = left[:0]",
        f"{STREAM}::test_an_epoch_is_a_function_of_seed_and_number_and_can_be_joined_anywhere",
    ),
    (
        "a rare value off the grid is missed",
        "inncli/data/scan.py",
        "[low, high], list(witness.values())]",
        "[low, high]]",
        f"{STREAM}::test_one_value_off_the_grid_in_a_hundred_thousand_is_noticed",
    ),
    (
        "all values are kept for the facts",
        "inncli/data/scan.py",
        "min(SAMPLED, memory / (32 * n))",
        "table.blocks.rows",
        f"{STREAM}::test_an_epoch_stays_within_the_memory",
    ),
    (
        "a file that changes meanwhile is read on",
        "inncli/data/chunks.py",
        "if self._now() != self._stamp:",
        "if False:",
        f"{STREAM}::test_a_file_that_is_cut_short_or_changes_is_named",
    ),
    (
        "every block draws from the same stream",
        "inncli/inference/trained_model.py",
        '(seed, "sample", obs, draw)',
        '(seed, "sample")',
        f"{BLOCKS}::test_the_first_block_is_the_set_of_one_block_and_no_draw_depends_on_the_total[rnvp]",
    ),
    (
        "the last block is as short as it need be",
        "inncli/inference/trained_model.py",
        "rows[obs:obs + together], min(n, BLOCK), seed",
        "rows[obs:obs + together], min(n - draw, BLOCK), seed",
        f"{BLOCKS}::test_the_first_block_is_the_set_of_one_block_and_no_draw_depends_on_the_total[rnvp]",
    ),
    (
        "the sd forgets that block means differ",
        "inncli/inference/summary.py",
        " + step**2 * self._n * n / total",
        "",
        f"{BLOCKS}::test_mean_and_sd_are_exact_and_quantiles_are_off_by_a_bin_at_most[drifting]",
    ),
    (
        "draws are numbered anew in each block",
        "inncli/inference/streaming.py",
        "part.columns(obs, draw)",
        "part.columns(obs)",
        f"{BLOCKS}::test_a_file_written_in_blocks_reads_as_one_written_at_once[rnvp-2005-1-.parquet]",
    ),
    (
        "a failing logger ends the training",
        "inncli/loggers/base.py",
        "        except Exception as error:  # whatever",
        "        except ZeroDivisionError as error:  # whatever",
        f"{LOGGER}::test_a_failed_logger_is_asked_no_more",
    ),
    (
        "a resumed run is a new one in MLflow",
        "inncli/loggers/mlflow.py",
        'if known.get("mlflow_run"):',
        "if False:",
        f"{LOGGER}::test_mlflow_goes_on_with_the_same_run",
    ),
]
