"""Runs that are not lost: claims, signals, the rows of a table, sizes."""

from defects._mutation import Defect

DEFECTS = [
    Defect(
        "a dead claim holds its directory for ever",
        "inncli.runs.claim:check",
        "return bool(claim)",
        "raise ClaimTakenError",
        "test_claim::test_the_same_command_works_after_a_kill[left2]",
    ),
    Defect(
        "a claim of another host is taken over while its process lives",
        "inncli.runs.claim:check",
        'liveness.state({"status": "running", **claim}, lock) == "running"',
        "False",
        "test_claim::test_without_locks_and_names_the_heart_beat_decides",
    ),
    Defect(
        "a run that is claimed and begun is claimed again a moment later",
        "inncli.runs.claim:take",
        "if locks.held_here(lock):\n    raise ClaimTakenError",
        "",
        "test_claim::test_a_claim_that_this_process_has_is_not_taken_again",
    ),
    Defect(
        "what nohup ignores stops the run",
        "inncli.training.stop_signals:stop_signals",
        "signal.getsignal(number) not in (signal.SIG_IGN, None)",
        "True",
        "test_stop_signals::test_what_is_ignored_stays_ignored",
    ),
    Defect(
        "the second warning of a scheduler cuts the checkpoint short",
        "inncli.training.stop_signals:StopFlag._raise",
        "number in INSISTING",
        "True",
        "test_stop_signals::test_a_warning_comes_again_and_again_and_a_person_insists",
    ),
    Defect(
        "a table that has changed is passed over for the copy",
        "inncli.inference.run_table:kept_table",
        'copy is not None and file_sha256(file) != data["sha256"]',
        "False",
        "test_table_copy::test_a_changed_table_is_refused_and_the_copy_named",
    ),
    Defect(
        "any table is taken for that of the run",
        "inncli.inference.run_table:at_tables",
        "sha256 in _checksums(run)",
        "True",
        "test_table_copy::test_each_run_takes_its_own_table_and_a_foreign_one_is_refused",
    ),
    Defect(
        "every job of a sweep keeps a copy of its own",
        "inncli.experiments.setup:keep_pairs",
        '(run.path.parent / "sweep.json").is_file()',
        "False",
        "test_table_copy::test_a_sweep_keeps_one_copy_and_goes_on_without_the_table",
    ),
    Defect(
        "pairs are drawn whatever the memory holds",
        "inncli.experiments.setup:new_pairs",
        "not task.is_measured",
        "False",
        "test_sizes::test_all_that_is_made_of_pairs_counts",
    ),
    Defect(
        "a closed folder of configs passes for an empty one",
        "inncli.config.registry:choices",
        "for folder in folders:\n    check_open(folder)",
        "",
        "test_permissions::test_a_closed_folder_of_configs_is_not_an_empty_one",
    ),
]
