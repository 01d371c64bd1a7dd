"""Writing results: a file is replaced whole or not at all, and never an input."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from secrets import token_hex


@contextmanager
def atomic_write(path: str | Path, *, keep_on: tuple[type[BaseException], ...] = ()) -> Iterator[Path]:
    """Yield a temporary path in the same folder, which replaces `path` when the block ends.

    If the block raises, or the process is killed, `path` stays as it was. Mode bits and symbolic links are kept. A
    device or a pipe is written directly. keep_on: exceptions after which the file is replaced too.

    Raises:
        OSError: the folder does not exist or cannot be written; names `path`, not the temporary file.
    """
    target = Path(os.path.realpath(path))
    if target.exists() and not target.is_file():
        yield target
        return
    part = target.with_name(f".{token_hex(8)}.part")  # not made from the name, which may be as long as is allowed
    try:
        try:
            yield part
        except keep_on:
            if part.exists():
                _move(part, target)
            raise
        _move(part, target)
    except OSError as error:
        if str(error.filename) == str(part):  # a name the user does not know
            error.filename = str(path)
        raise
    finally:
        part.unlink(missing_ok=True)


def write_file(path: str | Path, data: str | bytes) -> None:
    """Write a whole file by `atomic_write`; text is written as UTF-8."""
    with atomic_write(path) as part:
        part.write_bytes(data.encode() if isinstance(data, str) else data)


def is_same_file(path: Path, other: Path) -> bool:
    """Whether two paths lead to one regular file, also by symbolic or hard links."""
    try:
        return path.is_file() and path.samefile(other)
    except OSError:  # the other does not exist
        return False


def would_replace(path: Path, other: Path) -> bool:
    """Whether writing `path` would replace `other`, which need not exist yet: a hard link would not."""
    return os.path.realpath(path) == os.path.realpath(other)


def check_output(name: str, path: Path, inputs: Mapping[str, str | Path] | None = None) -> None:
    """Check an output path before the work begins. name, and the keys of inputs: what messages call the files.

    Raises:
        ValueError: the path is a folder, is in no folder, or is the same file as an input.
    """
    if path.is_dir() or not path.absolute().parent.is_dir():
        raise ValueError(f"{name} is {str(path)!r}; allowed: a file in a folder that exists")
    check_not_input(name, path, inputs or {})


def check_not_input(name: str, path: Path, inputs: Mapping[str, str | Path]) -> None:
    """Raises ValueError if an output path is the same file as an input, also by a link; see `check_output`."""
    for what, read in inputs.items():
        if is_same_file(path, Path(read)):
            raise ValueError(f"{name} is {str(path)!r}, the same file as {what} {str(read)!r}; allowed: another file")


def _move(part: Path, target: Path) -> None:
    if target.exists():
        part.chmod(target.stat().st_mode & 0o7777)
    part.replace(target)
