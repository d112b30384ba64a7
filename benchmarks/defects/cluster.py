"""Defects of launchers, requeueing and the search that their tests must notice."""

from defects._mutation import Defect

DEFECTS = [
    Defect(
        "scancel queues a job again",
        "inncli.launchers.requeue:back_to_queue",
        'state == "RUNNING"',
        'state != "PENDING"',
        "test_launchers::test_a_cancelled_job_is_not_queued_again",
    ),
    Defect(
        "a job that Slurm queued again is queued twice",
        "inncli.launchers.requeue:back_to_queue",
        'int(os.environ.get("SLURM_RESTART_COUNT") or 0)',
        "99",
        "test_launchers::test_a_job_that_slurm_has_queued_again_is_left_to_it",
    ),
    Defect(
        "a job that is not queued again stays preempted",
        "inncli.launchers.requeue:back_to_queue",
        "try:\n"
        "    signal.raise_signal(_submitit_signal())  # ends the process, as a rule\n"
        "except Exception as error:  # scontrol failed, or it was stopped too often\n"
        '    log.warning("not queued again: %s", error)\n'
        "run.end(Ending.SIGNAL)",
        "try:\n"
        "    signal.raise_signal(_submitit_signal())  # ends the process, as a rule\n"
        "except Exception as error:  # scontrol failed, or it was stopped too often\n"
        '    log.warning("not queued again: %s", error)',
        "test_launchers::test_a_job_that_submitit_will_not_queue_again_stays_interrupted",
    ),
    Defect(
        "the launcher raises at a killed job",
        "inncli.launchers.slurm:_result",
        "if _has_result(job):\n"
        "    try:\n"
        "        return job.results()[0]\n"
        "    except UncompletedJobError as error:\n"
        '        log.warning("job %s: %s", job.job_id, str(error).strip().splitlines()[-1])',
        "if True:\n"
        "    try:\n"
        "        return job.results()[0]\n"
        "    except ZeroDivisionError as error:\n"
        '        log.warning("job %s: %s", job.job_id, str(error).strip().splitlines()[-1])',
        "test_launchers::test_a_killed_job_ends_itself_and_not_the_sweep",
    ),
    Defect(
        "the preset asks for a GPU",
        "conf/hydra/launcher/slurm.yaml",
        "gpus_per_node: null",
        "gpus_per_node: 1",
        "test_launchers::test_the_slurm_preset_asks_for_no_more_than_it_is_told",
    ),
    Defect(
        "pruning counts failed trials among the finished",
        "inncli.launchers.optuna:read_trial",
        '{"done": TrialState.FAIL, "failed": TrialState.FAIL}',
        '{"done": TrialState.FAIL, "failed": TrialState.COMPLETE}',
        "test_optuna::test_how_a_run_reads_as_a_trial",
    ),
    Defect(
        "the resumed sampler draws the first trials again",
        "inncli.launchers.optuna:Optuna.sweep",
        "self.sampler(seed=self.seed + len(study.trials))",
        "self.sampler(seed=self.seed)",
        "test_optuna::test_a_search_that_was_killed_goes_on_and_its_best_config_trains",
    ),
    Defect(
        "a killed trial is drawn anew",
        "inncli.launchers.optuna:Optuna.sweep",
        "[trial for trial in study.trials if trial.state == TrialState.RUNNING]",
        "[]",
        "test_optuna::test_a_search_that_was_killed_goes_on_and_its_best_config_trains",
    ),
]
