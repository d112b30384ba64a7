"""A training that Slurm stopped goes back into the queue, once its checkpoint is written.

    USR2 (or TERM)  ->  StopFlag: the loop writes its checkpoint and raises Interrupted
                    ->  back_to_queue: run.json says preempted, the signal goes on to submitit's own handler
                    ->  submitit: `scontrol requeue`, and the process ends
                    ->  the job starts again, finds its directory and continues from the checkpoint

USR2 is what submitit has Slurm send before the time limit; preemption and node maintenance come as TERM. A TERM after
`scancel` means that the user wants the job gone: then, and if Slurm itself has queued the job again, Slurm is not asked
to. submitit counts a job that was stopped near its time limit against `max_num_timeout`; beyond that it is
not queued again and the run stays `interrupted`, which `inn resume` continues.
"""

from __future__ import annotations

import logging
import os
import re
import signal
import subprocess

from inncli.errors import Interrupted
from inncli.runs import provenance
from inncli.runs.run_dir import RunDir
from inncli.runs.run_info import Ending

PREEMPTING = (signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2)
log = logging.getLogger(__name__)


def back_to_queue(run: RunDir, stop: BaseException) -> None:
    """Queues this process's Slurm job again and ends the process; returns if the job is not queued again.

    Args:
        run: the job's run, its checkpoint written.
        stop: what the training raised.
    """
    reason = stop.reason if isinstance(stop, Interrupted) else None
    if reason not in PREEMPTING or os.environ.get("SUBMITIT_EXECUTOR") != "slurm":
        return
    state, restarts = _at_controller()
    if restarts > int(os.environ.get("SLURM_RESTART_COUNT") or 0):  # Slurm has queued it again
        run.end(Ending.PREEMPTED)
    elif state == "RUNNING":
        run.end(Ending.PREEMPTED)
        try:
            signal.raise_signal(_submitit_signal())  # ends the process, as a rule
        except Exception as error:  # scontrol failed, or it was stopped too often
            log.warning("not queued again: %s", error)
        run.end(Ending.SIGNAL)


def _at_controller() -> tuple[str | None, int]:
    """This job's state and how often it was queued again, as Slurm's controller says."""
    found = provenance.scheduler() or {}  # never empty: `back_to_queue` asks on Slurm only
    task = found.get("slurm_array_task_id")
    # The bare id of an array's last task is that of the array.
    job = found["slurm_job_id"] if task is None else f"{found['slurm_array_job_id']}_{task}"
    try:
        told = subprocess.run(["scontrol", "-o", "show", "job", job], capture_output=True, text=True, timeout=20).stdout
    except (OSError, subprocess.TimeoutExpired):
        told = ""
    state, restarts = re.search(r"JobState=(\w+)", told), re.search(r"Restarts=(\d+)", told)
    return state and state[1], int(restarts[1]) if restarts else 0


def _submitit_signal() -> signal.Signals:
    return signal.Signals[f"SIG{os.environ.get('SUBMITIT_PREEMPT_SIGNAL', 'USR2')}"]
