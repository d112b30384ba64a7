"""Why a run ended: what run.json says of it, written by this inn, by 0.4, and by both in turn."""

from __future__ import annotations

import pytest

from inncli.errors import CheckpointError
from inncli.runs.run_dir import RunDir
from inncli.runs.run_info import Ending, ending_of

OF_0_4 = [
    ({"status": "running"}, None),
    ({"status": "done", "preempted": None, "pruned": None}, Ending.FINISHED),
    ({"status": "failed", "error": "LostProcessError: a process has ended"}, Ending.ERROR),
    ({"status": "interrupted"}, Ending.SIGNAL),
    ({"status": "interrupted", "preempted": True}, Ending.PREEMPTED),
    ({"status": "interrupted", "preempted": None, "pruned": True}, Ending.PRUNED),
]


@pytest.mark.parametrize("info, ending", OF_0_4)
def test_the_ending_of_an_older_run_is_told_by_status_and_marks(info, ending):
    assert ending_of(info) is ending


@pytest.mark.parametrize("ending", Ending)
def test_an_ending_is_written_beside_the_fields_of_0_4(tmp_path, ending):
    run = RunDir.create(tmp_path / "run")
    run.end(ending, steps=7)
    info = run.info()
    assert ending_of(info) is ending and info["ended_by"] == ending.value and info["steps"] == 7
    assert info["status"] == ending.status and info["ended"]
    marks = {mark for mark in ("preempted", "pruned") if info.get(mark)}
    assert marks == {ending.value} & {"preempted", "pruned"}
    assert run.fine_state() == (ending.value if marks else ending.status)


def test_a_run_that_leaves_the_queue_is_interrupted_since_it_ended(tmp_path):
    run = RunDir.create(tmp_path / "run")
    run.end(Ending.PREEMPTED)
    before = run.info()
    run.end(Ending.SIGNAL)
    assert run.fine_state() == "interrupted" and run.info()["ended"] == before["ended"]


@pytest.mark.parametrize("known", [Ending.PRUNED, Ending.LOST_PROCESS, Ending.SIGNAL])
@pytest.mark.parametrize("info, ending", OF_0_4)
def test_an_ending_that_0_4_left_behind_counts_only_where_the_rest_agrees(info, ending, known):
    found = ending_of({**info, "ended_by": known.value})
    assert found is (known if known is Ending.LOST_PROCESS and ending is Ending.ERROR else ending)


def test_a_run_that_goes_on_has_not_ended(tmp_path):
    run = RunDir.create(tmp_path / "run")
    run.end(Ending.PRUNED)
    run.reopen()
    assert ending_of(run.info()) is None and run.info()["ended_by"] is None
    run.release()


def test_an_ending_of_a_newer_inn_is_passed_over_and_one_that_is_no_text_is_damage(tmp_path):
    assert ending_of({"status": "interrupted", "ended_by": "bored"}) is Ending.SIGNAL
    run = RunDir.create(tmp_path / "run")
    run.end(Ending.SIGNAL, ended_by="bored")
    assert run.fine_state() == "interrupted"
    run._write_info({**run.info(), "ended_by": ["signal"]})
    with pytest.raises(CheckpointError, match="ended_by: expected text"):
        run.info()
