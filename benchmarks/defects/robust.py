"""What strange terminals, paths, sizes and killed neighbours could get wrong."""

from defects._mutation import Defect

DEFECTS = [
    Defect(
        "whoever reads stderr ends the work when it goes away",
        "inncli.io.standard_streams:_Stream._is_gone",
        "error.errno == errno.EPIPE",
        "False",
        "test_standard_streams::test_what_nobody_reads_goes_nowhere_and_the_work_goes_on[stdout-]",
    ),
    Defect(
        "a sign that the stream can't carry is an error",
        "inncli.io.standard_streams:_spelt",
        "letter in _LINES or letter in _SIGNS",
        "False",
        "test_standard_streams::test_lines_and_signs_are_drawn_in_what_the_stream_can_carry"
        "[ascii--- | +- \\u00e9 \\u03bb \\ud83d\\ude00 +- ...-]",
    ),
    Defect(
        "workers outlive a process that was killed",
        "inncli.io.worker_life:begin",
        "when_gone()",
        "pass",
        "test_worker_life::test_no_worker_outlives_a_process_that_was_killed",
    ),
    Defect(
        "any number of draws is begun",
        "inncli.io.capacity:check_disk",
        "count * each > UNASKED",
        "False",
        "test_robust::test_more_draws_than_fit_are_refused_with_what_would_fit[sample --out a.npz]",
    ),
    Defect(
        "a container's limit counts only where the process stands",
        "inncli.io.capacity:_of_container",
        "(Path(own), *Path(own).parents)",
        "(Path(own),)",
        "test_capacity::test_a_limit_of_a_container_is_read_from_all_groups_above",
    ),
    Defect(
        "the temporary file of a writer that lives is taken away",
        "inncli.io.atomic:_temporary",
        "fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)",
        "pass",
        "test_atomic::test_a_writer_that_lives_keeps_its_temporary_file",
    ),
    Defect(
        "HDF5 sees that the disk is full, and crashes",
        "inncli.io.hdf5_sink:Hdf5Sink.check",
        "self.error is not None",
        "False",
        "test_atomic::test_a_limit_on_the_size_of_files_is_an_error_and_leaves_nothing[.nc]",
    ),
    Defect(
        "hydra reads into a path",
        "inncli.config.compose:literal",
        r"re.sub(r'(\\*)\$\{', r'\1\1\\${', text)",
        "text",
        "test_robust::test_dollars_and_braces_in_a_path_are_that[a${b}]",
    ),
    Defect(
        "a clock that ran ahead holds a run until that time",
        "inncli.runs.liveness:_is_fresh",
        "not ahead(stamp)",
        "True",
        "test_robust::test_a_clock_that_ran_ahead_holds_a_run_only_while_it_is_written",
    ),
    Defect(
        "TAB offers a command",
        "inncli.cli.completion:_offered",
        "r'\\\\\\g<0>'",
        "r'\\g<0>'",
        "test_robust::test_a_name_that_is_a_command_is_offered_as_a_name",
    ),
    Defect(
        "a number that no file can hold makes a run that can't be read",
        "inncli.config.schema:_fit_one",
        "abs(cast) > LARGEST",
        "False",
        f"test_robust::test_a_whole_number_that_no_file_can_hold_is_refused_where_it_is_set[seed={2**63}]",
    ),
]
