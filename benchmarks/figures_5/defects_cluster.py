"""Defects of launchers, requeueing and the search that their tests must notice."""

DEFECTS = [
    (
        "scancel queues a job again",
        "inncli/launchers/requeue.py",
        '    elif state == "RUNNING":',
        '    elif state != "PENDING":',
        "tests/test_launchers.py::test_a_cancelled_job_is_not_queued_again",
    ),
    (
        "a job that Slurm queued again is queued twice",
        "inncli/launchers/requeue.py",
        'if restarts > int(os.environ.get("SLURM_RESTART_COUNT") or 0):',
        "if restarts > 99:",
        "tests/test_launchers.py::test_a_job_that_slurm_has_queued_again_is_left_to_it",
    ),
    (
        "a job that is not queued again stays preempted",
        "inncli/launchers/requeue.py",
        '            log.warning("not queued again: %s", error)\n        run.update_info(preempted=None)',
        '            log.warning("not queued again: %s", error)',
        "tests/test_launchers.py::test_a_job_that_submitit_will_not_queue_again_stays_interrupted",
    ),
    (
        "the launcher raises at a killed job",
        "inncli/launchers/slurm.py",
        "    if _has_result(job):\n        try:\n            return job.results()[0]\n        except UncompletedJobError as error:",
        "    if True:\n        try:\n            return job.results()[0]\n        except ZeroDivisionError as error:",
        "tests/test_launchers.py::test_a_killed_job_ends_itself_and_not_the_sweep",
    ),
    (
        "the preset asks for a GPU",
        "conf/hydra/launcher/slurm.yaml",
        "gpus_per_node: null",
        "gpus_per_node: 1",
        "tests/test_launchers.py::test_the_slurm_preset_asks_for_no_more_than_it_is_told",
    ),
    (
        "pruning counts failed trials among the finished",
        "inncli/launchers/optuna.py",
        '"failed": TrialState.FAIL}',
        '"failed": TrialState.COMPLETE}',
        "tests/test_optuna.py::test_how_a_run_reads_as_a_trial",
    ),
    (
        "the resumed sampler draws the first trials again",
        "inncli/launchers/optuna.py",
        "self.sampler(seed=self.seed + len(study.trials))",
        "self.sampler(seed=self.seed)",
        "tests/test_optuna.py::test_a_search_that_was_killed_goes_on_and_its_best_config_trains",
    ),
    (
        "a killed trial is drawn anew",
        "inncli/launchers/optuna.py",
        "[trial for trial in study.trials if trial.state == TrialState.RUNNING]",
        "[]",
        "tests/test_optuna.py::test_a_search_that_was_killed_goes_on_and_its_best_config_trains",
    ),
]
