"""Defects that the tests of sweeps must notice."""

DEFECTS = [
    (
        "a dead process counts as alive",
        "inncli/runs/liveness.py",
        '        return "running" if _alive(record, lock) else "killed"',
        '        return "running"',
        "tests/test_sweep.py::test_every_state_is_told_from_the_files",
    ),
    (
        "a stale heartbeat of another host counts as alive",
        "inncli/runs/liveness.py",
        '    return _age(record.get("heartbeat")) < stale_seconds()',
        "    return True",
        "tests/test_sweep.py::test_a_holder_on_another_host_counts_while_its_heart_beats",
    ),
    (
        "the heart beats on after the run has ended",
        "inncli/runs/run_dir.py",
        "                heart.stop()",
        "                pass",
        "tests/test_resume.py::test_the_heart_beats_while_nothing_else_happens_and_never_after",
    ),
    (
        "a full disk ends the heartbeat for good",
        "inncli/runs/liveness.py",
        "            with contextlib.suppress(Exception):  # a full disk stops the heartbeat, never the run\n"
        "                self._beat()",
        "            self._beat()",
        "tests/test_resume.py::test_a_full_disk_stops_the_heartbeat_and_never_the_run",
    ),
    (
        "a sweep is resumed while another process runs it",
        "inncli/runs/sweep_dir.py",
        "        try:\n            locks.hold(self._lock)\n        except locks.Taken:\n            raise busy from None\n",
        "",
        "tests/test_sweep.py::test_two_processes_never_run_one_sweep_and_a_dead_one_keeps_nothing",
    ),
    (
        "a sweep is resumed while one of its jobs lives",
        "inncli/cli/sweeping.py",
        'if job["status"] == "running"]\n        if alive:',
        "if False]\n        if alive:",
        "tests/test_sweep.py::test_a_sweep_whose_job_lives_is_not_resumed",
    ),
    (
        "a launcher's word is taken from a stranger's manifest",
        "inncli/cli/sweeping.py",
        "if _is_of_the_launch(word) and not harmless(word):",
        "if False:",
        "tests/test_resume.py::test_a_strangers_sweep_says_nothing_to_the_launcher_that_could_run_a_command",
    ),
    (
        "a job's directory may be a link",
        "inncli/runs/sweep_dir.py",
        "            if folder.is_symlink():",
        "            if False:",
        "tests/test_resume.py::test_a_strangers_sweep_writes_only_in_its_directory",
    ),
    (
        "a manifest sets hydra's part of the config as a whole",
        "inncli/config/composing.py",
        '        if part or override.key_or_group == "hydra":',
        "        if part:",
        "tests/test_resume.py::test_a_strangers_search_changes_nothing_of_hydra",
    ),
    (
        "the launcher of a recipe is left out",
        "inncli/cli/sweeping.py",
        ', *_shared(sweep.manifest()["jobs"])]',
        "]",
        "tests/test_sweep.py::test_a_recipe_may_choose_the_launcher",
    ),
    (
        "a finished job whose directory is gone stays done",
        "inncli/runs/sweep_dir.py",
        '            state = "waiting"  # its directory',
        "            pass  # its directory",
        "tests/test_sweep.py::test_a_recipe_may_choose_the_launcher",
    ),
    (
        "workers wait for ever for the next job of a killed sweep",
        "inncli/launchers/joblib.py",
        "        with _working:\n            os._exit(1)\n",
        "",
        "tests/test_sweep.py::test_joblib_leaves_no_worker_behind_when_its_sweep_is_killed",
    ),
]
