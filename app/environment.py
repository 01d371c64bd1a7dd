"""Environment variables: those that libraries read as they are imported, and the page's threads."""

import os
from pathlib import Path

from app.folders import parent

_THREADS = "BLOCKSCOPE_THREADS"  # CPU threads of the page's network


def prepare() -> None:
    """Set what the user has not set. To be called before gradio and torch are imported.

    GRADIO_ANALYTICS_CACHE_FREQUENCY: after that many requests gradio sums up all earlier ones with pandas; by default
    after each, also while others are timed. GRADIO_TEMP_DIR: uploads lie beside the runs' folders.
    GOMP_SPINCOUNT: threads of torch that wait for each other spin at most this often. By default they spin for long,
    which is a fifth faster on a quiet machine, and several times slower as soon as anything else wants their core.
    """
    os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")
    os.environ.setdefault("GRADIO_ANALYTICS_CACHE_FREQUENCY", str(2**31))
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    os.environ.setdefault("GRADIO_TEMP_DIR", str(parent() / "uploads"))
    if "OMP_WAIT_POLICY" not in os.environ:
        os.environ.setdefault("GOMP_SPINCOUNT", "1000")


def threads() -> int:
    """CPU threads for the page's network: BLOCKSCOPE_THREADS, else OMP_NUM_THREADS, else all cores but one.

    One core is left for the web server and the browser: two threads that wait for each other on a core that something
    else uses are several times slower than one.

    Raises:
        ValueError: a variable is not a whole number from 1.
    """
    for name in (_THREADS, "OMP_NUM_THREADS"):
        if given := os.environ.get(name):
            if not given.isdecimal() or int(given) < 1:
                raise ValueError(f"{name} is {given!r}; allowed: a whole number from 1")
            return int(given)
    return max(1, cores() - 1)


def cores(limit: Path = Path("/sys/fs/cgroup/cpu.max")) -> int:
    """CPU cores that this process may use: of the machine, by its affinity, and by a container's limit."""
    count = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        quota, period = map(int, limit.read_text().split())
    except (OSError, ValueError):  # no such file, or "max" in it
        return count
    return max(1, min(count, quota // period))
