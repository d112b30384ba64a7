"""Jobs side by side in processes of this machine, by joblib's loky."""

from __future__ import annotations

import contextlib
import logging
import math
import os
import queue
import signal
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import BrokenExecutor, ThreadPoolExecutor
from typing import Any

import joblib
from hydra.core.singleton import Singleton
from hydra.core.utils import JobReturn, JobStatus, setup_globals
from hydra_plugins.hydra_joblib_launcher.joblib_launcher import JoblibLauncher
from joblib.externals.loky.process_executor import ProcessPoolExecutor, ShutdownExecutorError

from inncli.errors import RequestError
from inncli.io.worker_life import begin
from inncli.io.worker_path import safe_path
from inncli.launchers.planned import execute_job

log = logging.getLogger(__name__)
GRACE = 30.0  # seconds that stopped jobs have for their checkpoints


class Joblib(JoblibLauncher):
    """The plugin's launcher, with a pool of one process in place of each process of a pool.

    The plugin has one pool of many processes. When one of them dies, joblib kills the pool and all jobs in it. Here a
    killed process ends its own job, and a new process takes the next one.
    """

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        setup_globals()
        wanted = self.joblib["n_jobs"]
        if not isinstance(wanted, int) or wanted == 0:
            raise RequestError(
                "hydra.launcher.n_jobs: expected a whole number of 1 or more, or -1 for one for each CPU, "
                f"got {wanted!r}"
            )
        slots = min(joblib.effective_n_jobs(wanted), len(job_overrides))
        with safe_path():
            pools, state = _Pools(slots), Singleton.get_state()

        def run(number: int, overrides: Sequence[str]) -> JobReturn:
            with pools.one() as pool:
                try:
                    done: JobReturn = pool.submit(
                        _work, number, list(overrides), self.hydra_context, self.config, self.task_function, state
                    ).result()
                    return done
                except BrokenExecutor:
                    log.warning("job %d: its process was killed", number)
                    pools.replace(pool)
                except ShutdownExecutorError:
                    pass  # Ctrl-C: the job has not begun
                return _gone()

        with safe_path(), ThreadPoolExecutor(slots) as threads:
            jobs = [
                threads.submit(run, number, overrides)
                for number, overrides in enumerate(job_overrides, initial_job_idx)
            ]
            try:
                return [job.result() for job in jobs]
            except BaseException:
                pools.stop()
                raise
            finally:
                pools.shutdown()


class _Pools:
    """`count` pools of one process each. A pool serves one job at a time; its process starts with the first."""

    def __init__(self, count: int) -> None:
        self._all = [_pool() for _ in range(count)]
        self._free: queue.SimpleQueue[int] = queue.SimpleQueue()
        for slot in range(count):
            self._free.put(slot)

    @contextlib.contextmanager
    def one(self) -> Iterator[ProcessPoolExecutor]:
        slot = self._free.get()
        try:
            yield self._all[slot]
        finally:
            self._free.put(slot)

    def replace(self, broken: ProcessPoolExecutor) -> None:
        self._all[self._all.index(broken)] = _pool()

    def stop(self) -> None:
        """Stops the jobs that run, which write their checkpoints first; no other job begins."""
        processes = [process for pool in self._all for process in list((pool._processes or {}).values())]
        for pool in self._all:
            pool.shutdown(wait=False)
        for process in processes:
            with contextlib.suppress(ProcessLookupError):
                os.kill(process.pid, signal.SIGTERM)
        end = time.monotonic() + GRACE
        for process in processes:
            process.join(max(end - time.monotonic(), 0))

    def shutdown(self) -> None:
        for pool in self._all:
            pool.shutdown(wait=False, kill_workers=True)


def _pool() -> ProcessPoolExecutor:
    return ProcessPoolExecutor(max_workers=1, initializer=begin, initargs=(os.getpid(), _end_after_job))


_working = threading.Lock()  # held by a worker while it runs a job


def _work(*job: Any) -> JobReturn:
    with _working:
        return execute_job(*job)


def _end_after_job() -> None:
    """Ends a worker whose sweep is gone, once its job has written its checkpoint.

    Otherwise the job would train on unseen, so that `inn resume` would have to wait for it.
    """
    os.kill(os.getpid(), signal.SIGTERM)
    with _working:
        os._exit(1)


def _gone() -> JobReturn:
    """The result of a job that left none: NaN. Its run.json says what became of it."""
    gone = JobReturn(status=JobStatus.COMPLETED)
    gone.return_value = math.nan
    return gone
