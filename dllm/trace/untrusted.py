"""The process that reads strangers' traces for `dllm.trace.schema.read_untrusted`: it may die, its parent does not."""

import pickle
import sys

from dllm.trace.errors import TraceError
from dllm.trace.schema import REFUSED, UPLOAD, Trace

_NO_MEMORY = 4  # exit code


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
        return REFUSED
    except OSError as error:
        sys.stderr.write(f"it cannot be read: {error.strerror}")
        return REFUSED
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
