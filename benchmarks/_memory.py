"""Peak memory of this process."""

from __future__ import annotations

import resource
import sys
from pathlib import Path


def peak() -> int:
    """Return the largest memory this process has had, in bytes."""
    status = Path("/proc/self/status")
    if status.exists():
        # getrusage has that of the process that started this one, where it was larger.
        return int(status.read_text().partition("VmHWM:")[2].split()[0]) * 1024
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
