"""Reading uploaded traces in a process of its own, with limits of time and memory: it may die, its parent does not."""

import os
import pickle
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from threading import BoundedSemaphore

from dllm.trace.errors import TraceError
from dllm.trace.schema import UPLOAD, Trace

_ROOT = Path(__file__).resolve().parents[2]
_REFUSED, _NO_MEMORY = 3, 4  # exit codes
_READERS = BoundedSemaphore(2)  # processes that read uploads at the same time


def read_untrusted(paths: Sequence[str | Path], *, seconds: float = 20, memory: int = 2**30) -> list[Trace]:
    """Read strangers' traces within `UPLOAD`, in a process of its own; this one only takes over what was checked.

    Args:
        paths: trace files (.json or .json.gz).
        seconds: that reading all of them may take.
        memory: bytes of address space of that process.

    Raises:
        TraceError: what is wrong, in a sentence: with a trace, or that it took too long or too much memory.
    """
    command = [
        sys.executable,
        "-m",
        "dllm.trace.untrusted",
        str(memory),
        *(str(Path(path).resolve()) for path in paths),
    ]
    # a backtrace needs memory: where there is none left, the parser would wait for itself while it prints one
    env = {**os.environ, "RUST_BACKTRACE": "0"}
    with _READERS:
        try:
            done = subprocess.run(command, cwd=_ROOT, env=env, capture_output=True, timeout=seconds, check=False)
        except subprocess.TimeoutExpired:
            raise TraceError(f"reading it takes more than {seconds:g} seconds, which is the most allowed") from None
    if done.returncode == 0:
        return pickle.loads(done.stdout)
    if done.returncode == _REFUSED:
        raise TraceError(done.stderr.decode("utf-8", "replace"))
    raise TraceError(f"reading it takes more than {memory // 2**20} MiB of memory, which is the most allowed")


def main(memory: int, paths: list[str]) -> int:
    """Write the traces of these files to standard output, pickled; a refusal goes to standard error.

    memory: bytes of address space that this process may use, where the system can limit it.
    """
    try:
        _limit(memory)
        found = [Trace.load(path, limits=UPLOAD) for path in paths]
        sys.stdout.buffer.write(pickle.dumps(found, protocol=5))
    except TraceError as error:
        sys.stderr.write(str(error))
        return _REFUSED
    except OSError as error:
        sys.stderr.write(f"it cannot be read: {error.strerror}")
        return _REFUSED
    except MemoryError:
        return _NO_MEMORY
    return 0


def _limit(memory: int) -> None:
    if sys.platform == "win32":
        return
    import resource

    try:
        resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    except (ValueError, OSError):  # macOS refuses some; the time limit is left
        return


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), sys.argv[2:]))
