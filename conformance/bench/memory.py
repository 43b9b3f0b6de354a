"""Peak memory of one contender on one workload, in a process of its own.

``python -m rnnspec.conformance.bench.memory`` reads a request as JSON and prints the memory as JSON.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from rnnspec.conformance.hosting.keeper import end_with_starter

if TYPE_CHECKING:
    from rnnspec.conformance.bench.contender import Contender

CALLS: Final = 2
"""Calls that are made; the second shows the memory that the first keeps."""
LONGEST: Final = 600.0
"""Seconds that the process may take."""
_STATUS: Final = Path("/proc/self/status")
_CLEAR: Final = Path("/proc/self/clear_refs")


@dataclass(frozen=True)
class Memory:
    """Bytes: most resident, resident before the calls, and most on the device; None if the device reports nothing."""

    resident: int
    before: int
    device: int | None

    @property
    def taken(self) -> int:
        """Bytes that the calls took beyond the framework and their arrays."""
        return max(0, self.resident - self.before)


def peak_memory(contender: str, device: str, work: Mapping[str, Any]) -> Memory | None:
    """Measure in a new process; return None if that fails. The work is that of `calls_of`."""
    request = {"contender": contender, "device": device, **work}
    command = [sys.executable, "-P", "-m", "rnnspec.conformance.bench.memory"]  # -P: no module of the current folder
    try:
        done = subprocess.run(
            command, input=json.dumps(request), capture_output=True, text=True, timeout=LONGEST, check=True
        )
        return Memory(**json.loads(done.stdout.splitlines()[-1]))
    except (subprocess.SubprocessError, ValueError, IndexError, TypeError):
        return None


def measure(request: Mapping[str, Any]) -> Memory:
    """Make the calls in this process, and return their memory."""
    from rnnspec.conformance.bench.contender import open_contender

    contender = open_contender(request["contender"], request["device"])
    run = calls_of(contender, request)
    before = most_resident_anew()
    for _ in range(CALLS):
        run()
    return Memory(most_resident(), before, contender.backend.peak_device_memory())


def calls_of(contender: Contender, work: Mapping[str, Any]) -> Callable[[], object]:
    """Return the function that makes the calls: of cases, or of a part of a model's training."""
    if "model" in work:
        from rnnspec.conformance.bench.training import run_of, work_of

        return run_of(contender.backend, work_of(work), work["mode"], work["dtype"])
    from rnnspec.conformance.cases import Case

    return contender.prepare([Case.from_json(data) for data in work["cases"]], work["mode"])


def most_resident_anew() -> int:
    """Reset the count of most resident bytes to those resident now, where the system can; return the count."""
    with suppress(OSError):
        _CLEAR.write_text("5")
    return most_resident()


def most_resident() -> int:
    """Return the most bytes that were resident in this process."""
    if _STATUS.exists():
        # Linux's getrusage includes the parent's memory at the start of this process; this line does not.
        lines = _STATUS.read_text().splitlines()
        return next(1024 * int(line.split()[1]) for line in lines if line.startswith("VmHWM:"))
    import resource  # not on Windows

    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else 1024 * most


if __name__ == "__main__":
    end_with_starter()
    print(json.dumps(asdict(measure(json.load(sys.stdin)))))
