"""Workers of a Dask scheduler, which may be on many machines.

A piece of work is sent as a line of JSON, and so is its result, which is checked. A piece whose worker is lost is done
again. A worker whose versions differ gets no work. Dask itself lets whoever reaches the scheduler run code.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Iterable
from importlib.util import find_spec
from typing import Any, Final, TypeVar

import click

from rnnspec.backends.discovery import installs
from rnnspec.backends.words import readable, visible, words_of
from rnnspec.conformance.hosting.block import asked
from rnnspec.conformance.hosting.deadline import DeadlineError, at_most
from rnnspec.conformance.hosting.errors import ClusterError
from rnnspec.conformance.hosting.facts import facts_of
from rnnspec.conformance.hosting.jobs import Again, PooledWorkers
from rnnspec.conformance.hosting.work import FormError, Work

Result = TypeVar("Result")

CONNECT_SECONDS: Final = 20.0
"""Time limit to reach the scheduler."""
WORKER_SECONDS: Final = 20.0
"""Time limit for its first worker."""
RETURN_SECONDS: Final = 120.0
"""Time limit for a lost scheduler to come back."""
CLOSE_SECONDS: Final = 5.0
AHEAD: Final = 3
"""Pieces that are with the scheduler for each thread of the workers."""
_PLAIN: Final = ["msgpack"]
"""Forms in which results may come: text alone."""


class Cluster(PooledWorkers):
    """The workers of the Dask scheduler at an address.

    Raises
    ------
    ClusterError
        If `distributed` is not installed, nobody answers at the address, or no worker is there.
    """

    def __init__(self, address: str, tell: Callable[[str], None] = lambda line: click.echo(line, err=True)) -> None:
        super().__init__()
        if find_spec("distributed") is None:
            raise ClusterError(f"--scheduler needs Dask's distributed: {installs('cluster')}")
        self.address, self._tell = address, tell
        self._unfit: dict[str, str] = {}
        self._facts: dict[str, dict[str, str]] = {}
        self._known: dict[str, int] = {}
        self._had_workers = True
        self._asked_again_at = 0.0
        self._client = self._connected(CONNECT_SECONDS)
        try:
            self._client.wait_for_workers(1, timeout=WORKER_SECONDS)
        except TimeoutError as error:
            self.close()
            raise ClusterError(f"{address} has no worker: start one with `dask worker {address}`") from error
        self._tell(f"{len(self._threads())} workers at {address}; dashboard: {self._client.dashboard_link}")

    @property
    def width(self) -> int:
        """Pieces that are with the scheduler at a time."""
        return AHEAD * max(1, sum(self._threads().values()))

    def submit(self, work: Work[Any], item: Any) -> Any:
        """Give a piece to the scheduler, for a worker that is not known to be unfit."""
        asked = {"work": work.name, "settings": dict(work.settings)}
        key = json.dumps(asked)
        if key not in self._facts:
            self._facts[key] = facts_of(work)
        request = json.dumps({**asked, "item": item, "facts": self._facts[key]})
        # Others too: an unfit worker says so, and a worker that is lost may come back at another address.
        fit = self._fit()
        return self._client.submit(
            done_by_worker, request, pure=False, workers=fit or None, allow_other_workers=bool(fit)
        )

    def outcome(self, work: Work[Result], item: Any, future: Any) -> Result:
        """Return the result of an item's future; raise `Again` where its piece was lost, or its worker is unfit."""
        from distributed.client import FutureCancelledError
        from distributed.scheduler import KilledWorker

        try:
            text = future.result(timeout=RETURN_SECONDS)
        except FutureCancelledError as error:
            raise Again from error  # the scheduler is lost, and with it all that it knew
        except KilledWorker as error:
            raise Again("its workers were lost, one after the other") from error
        except (OSError, TimeoutError) as error:
            raise Again(f"its result did not come: {readable(str(error))}") from error
        except TypeError as error:
            raise self._odd(str(error)) from error
        try:
            worker, answer = json.loads(text)
            said = json.loads(answer)
        except (TypeError, ValueError, RecursionError) as error:
            raise self._odd(str(error)) from error
        match said:
            case {"result": data}:
                try:
                    return work.revived(data, item)
                except FormError as error:
                    raise self._odd(str(error)) from error
            case {"unfit": str(reason)}:
                self._leave_out(visible(str(worker)), readable(reason))
                raise Again
            case {"lost": str(reason)} | {"failed": str(reason)}:
                raise Again(f"{visible(str(worker))}: {readable(reason)}")
        raise self._odd(readable(answer))

    def _odd(self, words: str) -> ClusterError:
        return ClusterError(f"a worker of {self.address} sent something else than a result: {readable(words)}")

    def drop(self, futures: Iterable[Any]) -> None:
        """Withdraw the pieces that are not begun."""
        left = list(futures)
        if left and self._client.status == "running":
            self._client.cancel(left, force=True)

    def renewed(self) -> bool:
        """Come back to a scheduler that is lost; return whether it was, so that it knows nothing of the pieces."""
        if self._client.status == "running":
            self._tell_of_no_workers()
            return False
        self._tell(f"the scheduler at {self.address} is lost; waiting up to {RETURN_SECONDS:g} s for it to come back")
        self.close()
        self._client = self._connected(RETURN_SECONDS)
        self._unfit.clear()
        self._tell("it is back")
        return True

    def _tell_of_no_workers(self) -> None:
        """Say once that all workers are gone: the pieces wait for others."""
        there = bool(self._threads())
        if not there and self._had_workers:
            self._tell(f"{self.address} has no worker any more; waiting for one")
        self._had_workers = there

    def kill(self) -> None:
        """Leave the scheduler, which then withdraws the pieces."""
        self.close()

    def close(self) -> None:
        """Leave the scheduler."""
        self._client.close(timeout=CLOSE_SECONDS)

    def _connected(self, seconds: float) -> Any:
        try:
            from distributed import Client, Security
            from distributed.comm.addressing import parse_host_port, resolve_address
        except Exception as error:  # it reads Dask's configuration, which may hold anything
            raise ClusterError(f"Dask's distributed cannot be imported: {words_of(error)}") from error

        for name in ("distributed", "distributed.client"):  # they write of each loss that is mended here
            logging.getLogger(name).setLevel(logging.CRITICAL)
        try:
            parse_host_port(self.address.rpartition("://")[2])
            resolve_address(self.address)
        except (OSError, ValueError) as error:
            raise ClusterError(f"expected a scheduler's address like tcp://HOST:8786, got {self.address!r}") from error
        if self.address.startswith("tls:") and not Security().get_connection_args("client").get("ssl_context"):
            raise ClusterError(f"{self.address} needs certificates: name them in distributed.comm.tls of Dask")
        try:
            connect: Any = Client
            with at_most(seconds + CLOSE_SECONDS):  # another server's words may be waited on for longer than is asked
                return connect(self.address, timeout=seconds, set_as_default=False, deserializers=_PLAIN)
        except (OSError, TimeoutError, ValueError, MemoryError, DeadlineError) as error:
            raise ClusterError(
                f"nobody answers at {self.address} within {seconds:g} s: expected a scheduler, which "
                "`dask scheduler` starts; finished work is kept with --resume"
            ) from error

    def _threads(self) -> dict[str, int]:
        """The threads of each worker, by its address, as they were at most a second ago."""
        if time.monotonic() >= self._asked_again_at:
            found = self._client.scheduler_info(n_workers=-1)["workers"]
            self._known = {address: int(worker["nthreads"]) for address, worker in found.items()}
            self._asked_again_at = time.monotonic() + 1.0
        return self._known

    def _fit(self) -> list[str]:
        """The workers that are there and not known to be unfit; ClusterError if there are none but unfit ones."""
        there = self._threads()
        fit = [address for address in there if address not in self._unfit]
        if fit or not there:
            return fit if self._unfit else []
        told = "\n  ".join(f"{address}: {reason}" for address, reason in self._unfit.items())
        raise ClusterError(f"no worker of {self.address} has the versions of this process:\n  {told}")

    def _leave_out(self, worker: str, reason: str) -> None:
        if worker not in self._unfit:
            self._unfit[worker] = reason
            self._tell(f"{worker} gets no work: {reason}")


def done_by_worker(request: str) -> str:
    """Do a piece of work, in a worker; return the worker's address and its guest's answer, as text."""
    from distributed import get_worker

    return json.dumps([get_worker().address, asked(request)])
