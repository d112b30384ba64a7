"""Defects that the tests of sweeps must notice."""

from defects._mutation import Defect

DEFECTS = [
    Defect(
        "a dead process counts as alive",
        "inncli.runs.liveness:state",
        'return "running" if _alive(record, lock, file) else "killed"',
        'return "running"',
        "test_sweep::test_every_state_is_told_from_the_files",
    ),
    Defect(
        "a stale heartbeat of another host counts as alive",
        "inncli.runs.liveness:_is_fresh",
        "return _age(stamp) < stale_seconds()",
        "return True",
        "test_sweep::test_a_holder_on_another_host_counts_while_its_heart_beats",
    ),
    Defect(
        "the heart beats on after the run has ended",
        "inncli.runs.run_dir:RunDir.release",
        "heart.stop()",
        "pass",
        "test_resume::test_the_heart_beats_while_nothing_else_happens_and_never_after",
    ),
    Defect(
        "a full disk ends the heartbeat for good",
        "inncli.runs.liveness:Heartbeat._go",
        "with contextlib.suppress(Exception):  # a full disk stops the heartbeat, never the run\n    self._beat()",
        "self._beat()",
        "test_resume::test_a_full_disk_stops_the_heartbeat_and_never_the_run",
    ),
    Defect(
        "a sweep is resumed while another process runs it",
        "inncli.runs.sweep_dir:SweepDir.held",
        "try:\n    locks.hold(self._lock)\nexcept locks.LockTakenError:\n    raise busy from None",
        "",
        "test_sweep::test_two_processes_never_run_one_sweep_and_a_dead_one_keeps_nothing",
    ),
    Defect(
        "a sweep is resumed while one of its jobs lives",
        "inncli.experiments.sweep:resume",
        'job["status"] == "running"',
        "False",
        "test_sweep::test_a_sweep_whose_job_lives_is_not_resumed",
    ),
    Defect(
        "a launcher's word is taken from a stranger's manifest",
        "inncli.config.overrides:overrides_to_resume",
        "_is_hydras(override) and not harmless(override)",
        "False",
        "test_resume::test_a_strangers_sweep_says_nothing_to_the_launcher_that_could_run_a_command",
    ),
    Defect(
        "a job's directory may be a link",
        "inncli.runs.sweep_dir:SweepDir.check_job",
        "folder.is_symlink()",
        "False",
        "test_resume::test_a_strangers_sweep_writes_only_in_its_directory",
    ),
    Defect(
        "a manifest sets hydra's part of the config as a whole",
        "inncli.config.overrides:overrides_to_resume",
        're.match(rf"hydra$|hydra[@:]|{PARAMS}", key(override))',
        "False",
        "test_resume::test_a_strangers_search_changes_nothing_of_hydra",
    ),
    Defect(
        "a sweep sets hydra's part of the config as a whole",
        "inncli.config.sweeps:_no_hydra",
        'part or override.key_or_group == "hydra"',
        "part",
        "test_config::test_what_can_not_be_swept[++hydra={sweep: {dir: x}}-message4]",
    ),
    Defect(
        "the launcher of a recipe is left out",
        "inncli.experiments.sweep:start",
        "[*(override for override in overrides if language.is_of_launch(override)), "
        '*language.shared_overrides(sweep.manifest()["jobs"])]',
        "[*(override for override in overrides if language.is_of_launch(override))]",
        "test_sweep::test_a_recipe_may_choose_the_launcher",
    ),
    Defect(
        "a finished job whose directory is gone stays done",
        "inncli.runs.sweep_dir:SweepDir._job",
        'state = "waiting"',
        "pass",
        "test_sweep::test_a_recipe_may_choose_the_launcher",
    ),
    Defect(
        "workers wait for ever for the next job of a killed sweep",
        "inncli.launchers.joblib:_end_after_job",
        "with _working:\n    os._exit(1)",
        "",
        "test_sweep::test_joblib_leaves_no_worker_behind_when_its_sweep_is_killed",
    ),
]
