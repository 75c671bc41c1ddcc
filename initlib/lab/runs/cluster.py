"""Runs on the workers of a Dask cluster. Results come back to the store of the caller.

Dask is an extra, ``initlib[cluster]``: only a batch that asks for a cluster imports this file.
"""

from __future__ import annotations

import contextlib
import importlib
import time
from collections.abc import Callable
from concurrent.futures import CancelledError, Future, TimeoutError
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path

import yaml
from distributed import Client, LocalCluster, get_worker
from distributed.scheduler import KilledWorker

from initlib.lab.runs.attempt import now
from initlib.lab.runs.inputs import Inputs
from initlib.lab.runs.kernel import KernelGroup
from initlib.lab.runs.parameters import PlanError
from initlib.lab.runs.plan import Run
from initlib.lab.runs.remote import Answer, put_files, run_request, write_request
from initlib.lab.runs.settings import Settings
from initlib.lab.runs.store import INTERRUPTED, Record, RunFolder

CONNECT_SECONDS = 20
GRACE_SECONDS = 5  # a scheduler that is out of reach for longer is gone
POLL_SECONDS = 0.2
LOOPBACK = "127.0.0.1:0"  # of the dashboard: a free port, closed to other machines


class Cluster(AbstractContextManager):
    """A Dask cluster, as a place for attempts at runs.

    Parameters
    ----------
    address : str
        ``"local"``: workers on this machine; ``tcp://host:port`` of a scheduler; or the path of a
        YAML file: ``class`` names one that Dask can use, such as ``dask_jobqueue.SLURMCluster``,
        ``options`` are its arguments, ``jobs`` says how many to start.
    inputs : Inputs
        What the workers must have, too.
    workers : int, optional
        How many to start with ``"local"``; default: one a core.
    retries : int
        How often a run is given to another worker after the death of its own.

    Raises
    ------
    PlanError
        If the address can't be understood, or there is no scheduler.
    """

    def __init__(
        self, address: str, inputs: Inputs, workers: int | None = None, retries: int = 0
    ) -> None:
        self._inputs = inputs
        self._open = ExitStack()
        try:
            cluster = self._start(address, workers)
            client = Client(cluster, timeout=CONNECT_SECONDS, set_as_default=False)
        except (OSError, TimeoutError, ValueError) as error:
            self._open.close()
            raise PlanError(f"no cluster at {address!r}: {error}") from None
        self._client = self._open.enter_context(client)
        self._pool = client.get_executor(pure=False, retries=retries)

    def _start(self, address: str, workers: int | None):
        if address.startswith(("tcp://", "tls://")):
            return address
        if address == "local":
            options = {"n_workers": workers, "threads_per_worker": 1, "host": "127.0.0.1"}
            return self._open.enter_context(
                LocalCluster(dashboard_address=LOOPBACK, silence_logs=50, **options)
            )
        try:
            content = yaml.safe_load(Path(address).read_text(encoding="utf-8"))
            module, _, name = content["class"].rpartition(".")
            kind = getattr(importlib.import_module(module), name)
            options, jobs = content.get("options", {}), content.get("jobs", 1)
        except (OSError, yaml.YAMLError, ImportError, AttributeError, KeyError, TypeError) as error:
            raise PlanError(
                f"--cluster takes local, tcp://host:port or a YAML file with class, options and "
                f"jobs; {address!r}: {type(error).__name__}: {error}"
            ) from None
        cluster = self._open.enter_context(kind(**options))
        cluster.scale(jobs)
        return cluster

    def __exit__(self, *exception: object) -> None:
        with contextlib.suppress(Exception):  # what is gone needn't be closed
            self._open.close()

    def attempt(
        self,
        run: Run,
        folder: RunFolder,
        settings: Settings,
        kernels: KernelGroup,
        on_cell: Callable[[int, int], None],
    ) -> Record:
        """Have a worker execute a run, and put the result into its folder.

        As `initlib.lab.runs.attempt.attempt`; of cells nothing is told.
        """
        clock = time.monotonic()
        started = {**run.describe(), **settings.provenance, "started": now()}
        try:
            scratch = folder.begin({**started, "state": "running"})
            future = self._pool.submit(_on_worker, write_request(run, settings, self._inputs))
            answer = self._wait(future, kernels)
            record = {**started, **answer["record"]}
            put_files(answer["files"], folder, scratch)
            if record["state"] == "ok":
                folder.succeed(scratch, record)
                return record
        except _Gone as gone:
            record = {**started, "state": "dead", "error": str(gone)}
        except Exception as error:
            record = {**started, "state": "failed", "error": f"{type(error).__name__}: {error}"}
        record = {"finished": now(), "seconds": round(time.monotonic() - clock, 2), **record}
        # On a full disk the record keeps saying running, which reads as dead once we are gone.
        with contextlib.suppress(OSError):
            folder.fail(record)
        return record

    def _wait(self, future: Future, kernels: KernelGroup) -> Answer:
        seen = time.monotonic()
        while True:
            try:
                return future.result(timeout=POLL_SECONDS)
            except TimeoutError:
                pass
            except KilledWorker:
                raise _Gone("the worker that ran it died") from None
            except CancelledError:
                raise _Gone("the scheduler of the cluster is gone") from None
            if kernels.stopping.is_set():
                future.cancel()
                raise _Gone(INTERRUPTED)
            if self._client.status == "running" and self._client.scheduler_comm is not None:
                seen = time.monotonic()
            elif time.monotonic() - seen > GRACE_SECONDS:
                raise _Gone("the scheduler of the cluster is gone")


def _on_worker(request: str) -> Answer:
    """Execute a run with the threads that its worker was given: others may share the machine."""
    return run_request(request, threads=get_worker().state.nthreads)


class _Gone(Exception):
    """A run that nobody is at any more."""
