"""Runs on the workers of a Dask cluster. Results come back to the store of the caller.

Dask is an extra, ``initlib[cluster]``: only a batch that asks for a cluster imports this file.
"""

from __future__ import annotations

import contextlib
import importlib
import secrets
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError, Future, TimeoutError
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path

import yaml
from distributed import Client, LocalCluster, Status, get_worker
from distributed.scheduler import KilledWorker

from initlib.lab.runs.attempt import now
from initlib.lab.runs.inputs import Inputs
from initlib.lab.runs.kernel import KernelGroup
from initlib.lab.runs.parameters import PlanError
from initlib.lab.runs.plan import Run
from initlib.lab.runs.remote import Answer, put_files, run_request, write_request
from initlib.lab.runs.settings import Settings, cores
from initlib.lab.runs.store import INTERRUPTED, Record, RunFolder, is_out_of_room

CONNECT_SECONDS = 20
GRACE_SECONDS = 5  # a scheduler that is out of reach for longer is gone
POLL_SECONDS = 0.2
CLOSED = (Status.closing, Status.closed, Status.failed)
MISREAD = (OSError, yaml.YAMLError, ImportError, LookupError, AttributeError, TypeError, ValueError)
LOOPBACK = "127.0.0.1:0"  # of web pages: a free port, closed to other machines


class Cluster(AbstractContextManager):
    """A Dask cluster, as a place for attempts at runs.

    Parameters
    ----------
    address : str
        ``"local"``: in this process; ``tcp://host:port`` of a scheduler; or the path of a YAML
        file: ``class`` names one that Dask can use, such as ``dask_jobqueue.SLURMCluster``,
        ``options`` are its arguments, ``jobs`` says how many to start, ``threads`` how many each
        kernel gets (default: 1; a worker has as many kernels at a time as Dask gives it threads).
    inputs : Inputs
        What the workers must have, too.
    workers : int, optional
        Runs at a time with ``"local"``; default: one a core.
    retries : int
        How often Dask makes a further attempt after an error of its own. (A run whose worker dies
        goes to another anyhow, as often as the scheduler's ``allowed-failures`` says.)

    Attributes
    ----------
    link : str
        The page that shows what a cluster of this machine is at; empty elsewhere.

    Raises
    ------
    PlanError
        If the address can't be understood, or there is no scheduler.
    """

    def __init__(
        self, address: str, inputs: Inputs, workers: int | None = None, retries: int = 0
    ) -> None:
        self._inputs, self._threads, self.link = inputs, 1, ""
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
            return self._start_here(workers or cores())
        try:
            content = yaml.safe_load(Path(address).read_text(encoding="utf-8"))
            module, _, name = content["class"].rpartition(".")
            kind = getattr(importlib.import_module(module), name)
            options, jobs = content.get("options", {}), content.get("jobs", 1)
            self._threads = max(1, int(content.get("threads", 1)))
        except MISREAD as error:
            raise PlanError(
                f"--cluster takes local, tcp://host:port or a YAML file with class, options, jobs "
                f"and threads; {address!r}: {type(error).__name__}: {error}"
            ) from None
        cluster = self._open.enter_context(kind(**options))
        cluster.scale(jobs)
        return cluster

    def _start_here(self, workers: int) -> LocalCluster:
        """Start one worker in this process: whoever reaches the port of a worker can run code."""
        self._threads = max(1, cores() // workers)
        # Whoever has this part of the address may see the pages.
        prefix = f"/{secrets.token_urlsafe()}"
        cluster = LocalCluster(
            n_workers=1,
            threads_per_worker=workers,
            processes=False,
            memory_limit=None,
            dashboard_address=LOOPBACK,
            worker_dashboard_address=LOOPBACK,
            scheduler_kwargs={"http_prefix": prefix},
            http_prefix=prefix,
            silence_logs=50,
        )
        port = cluster.scheduler.http_server.port
        self.link = f"http://127.0.0.1:{port}{prefix}/info/main/workers.html"
        return self._open.enter_context(cluster)

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
        clock, no_room = time.monotonic(), False
        started = {**run.describe(), **settings.provenance, "started": now()}
        try:
            scratch = folder.begin({**started, "state": "running"})
            request = write_request(run, settings, self._inputs)
            future = self._pool.submit(_on_worker, request, self._threads)
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
            no_room = is_out_of_room(error)
        record = {"finished": now(), "seconds": round(time.monotonic() - clock, 2), **record}
        # On a full disk the record keeps saying running, which reads as dead once we are gone.
        with contextlib.suppress(OSError):
            folder.fail(record, make_room=no_room)
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


def _on_worker(request: str, threads: int) -> Answer:
    kernels = KernelGroup()
    with _stop_when_unwanted(kernels):
        return run_request(request, threads, kernels)


@contextmanager
def _stop_when_unwanted(kernels: KernelGroup) -> Iterator[None]:
    """End the run of this thread when its batch or the scheduler is gone: Dask only forgets it."""
    worker = get_worker()
    key, ended = worker.get_current_task(), threading.Event()

    def watch() -> None:
        while not ended.wait(POLL_SECONDS):
            task = worker.state.tasks.get(key)
            if task is None or task.state == "cancelled" or worker.status in CLOSED:
                return kernels.stop()

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield
    finally:
        ended.set()
        watcher.join()


class _Gone(Exception):
    """A run that nobody is at any more."""
