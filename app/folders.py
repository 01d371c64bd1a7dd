"""Temporary folders of runs, all under one parent, which is removed with the server, else when the next one starts."""

import atexit
import os
import signal
from functools import cache
from pathlib import Path
from shutil import rmtree
from tempfile import gettempdir, mkdtemp

_PARENT = "blockscope"


def new_folder() -> Path:
    """A folder for the files of one run."""
    return Path(mkdtemp(prefix="run-", dir=parent()))


@cache
def parent() -> Path:
    """This server's own folder, named after its process; those of servers that have ended are removed."""
    every = Path(gettempdir()) / f"{_PARENT}-{os.getuid() if hasattr(os, 'getuid') else 'user'}"
    every.mkdir(mode=0o700, exist_ok=True)
    clean(every)
    own = every / str(os.getpid())
    own.mkdir(mode=0o700, exist_ok=True)
    atexit.register(rmtree, own, ignore_errors=True)
    return own


def clean(every: Path) -> None:
    """Remove the folders of processes that no longer run."""
    for folder in every.iterdir():
        if folder.name.isdecimal() and not _runs(int(folder.name)):
            rmtree(folder, ignore_errors=True)


def clean_when_terminated() -> None:
    """Remove this server's folder on SIGTERM too, which otherwise skips `atexit`. For main threads."""

    def end(number: int, _: object) -> None:
        rmtree(parent(), ignore_errors=True)
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)

    signal.signal(signal.SIGTERM, end)


def _runs(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # another user's
        pass
    return True
