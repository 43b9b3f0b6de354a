"""Program of the guest that does pieces of work for a worker of a cluster.

It reads requests from standard input and writes answers to standard output, a line of JSON each. `Guest` is the program
as the worker sees it. The worker unpickles nothing of its guest, and the suite nothing of the worker.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping
from contextlib import suppress
from functools import lru_cache
from queue import SimpleQueue
from typing import Any, Final

from rnnspec.conformance.hosting.deadline import end_this_process_after_deadlines
from rnnspec.conformance.hosting.keeper import end_with_starter
from rnnspec.conformance.thread_variables import VARIABLES

FAREWELL_SECONDS: Final = 5.0
"""Time limit of a guest to end by itself, when it has nothing more to do."""


class Guest:
    """The process of a guest, which does one piece after the other."""

    def __init__(self) -> None:
        # One thread: the cases are small, and a worker has a core.
        environment = {**dict.fromkeys(VARIABLES, "1"), **os.environ, "PYTHONSAFEPATH": "1"}
        self._process = subprocess.Popen(
            [sys.executable, "-m", __name__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment,
            start_new_session=True,  # a terminal sends Ctrl-C to the worker's whole group
        )  # fmt: skip

    def ask(self, request: str) -> str:
        """Return the guest's answer to a request; say that it is lost if none comes."""
        assert self._process.stdin is not None  # both are pipes
        assert self._process.stdout is not None
        try:
            self._process.stdin.write(request + "\n")
            self._process.stdin.flush()
            if answer := self._process.stdout.readline():
                return answer
        except OSError:
            pass
        self.end()
        return json.dumps({"lost": f"the process ended with status {self._process.returncode}"})

    @property
    def runs(self) -> bool:
        """Whether it can be asked."""
        return self._process.poll() is None

    def end(self) -> None:
        """End the process."""
        assert self._process.stdin is not None  # both are pipes
        assert self._process.stdout is not None
        with suppress(OSError):  # it has ended, and what was written last was not read
            self._process.stdin.close()
        try:
            self._process.wait(FAREWELL_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()


_guests = threading.local()


def asked(request: str) -> str:
    """Give a request to the guest of this thread, which begins with the first one; return the answer."""
    guest: Guest | None = getattr(_guests, "guest", None)
    if guest is None or not guest.runs:
        try:
            guest = _guests.guest = Guest()
        except OSError as error:
            return json.dumps({"lost": f"no process could be started: {error}"})
    answer = guest.ask(request)
    if answer.startswith('{"unfit"'):
        guest.end()  # what is installed may change before the next request
    return answer


# The program.


def main() -> None:
    """Answer requests until there are no more."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # it would be taken for a crash of the backend
    end_with_starter()
    end_this_process_after_deadlines()
    output = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what a framework prints is no answer
    requests: SimpleQueue[str] = SimpleQueue()
    threading.Thread(target=_read, args=(requests,), daemon=True).start()
    while True:
        output.write(json.dumps(_answer(json.loads(requests.get()))) + "\n")
        output.flush()


def _read(requests: SimpleQueue[str]) -> None:
    """Pass requests on; at the end of the worker, which is the end of its requests, end this process."""
    for line in sys.stdin:
        requests.put(line)
    os._exit(0)


def _answer(request: Mapping[str, Any]) -> dict[str, Any]:
    from rnnspec.backends import BackendError
    from rnnspec.backends.words import kind_of, words_of
    from rnnspec.conformance.hosting.facts import differences
    from rnnspec.conformance.hosting.work import named

    try:
        work = named(request["work"]).having(**request["settings"])
        try:
            different = differences(request["facts"], _facts(request["work"], json.dumps(request["settings"])))
        except BackendError as error:
            return {"unfit": words_of(error)}
        if different:
            return {"unfit": different}
        return {"result": work.write(work(request["item"]))}
    except BaseException as error:
        return {"failed": f"{kind_of(error)}: {words_of(error)}"}


@lru_cache(maxsize=1)
def _facts(work: str, settings: str) -> dict[str, str]:
    """The facts of this process for a piece of work; they are of the libraries that it has imported."""
    from rnnspec.conformance.hosting.facts import facts_of
    from rnnspec.conformance.hosting.work import named

    return facts_of(named(work).having(**json.loads(settings)))


if __name__ == "__main__":
    main()
