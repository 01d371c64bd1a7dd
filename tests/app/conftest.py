"""The app as a visitor meets it: served by a process of its own on the default model, in a real browser."""

import asyncio
import os
import queue
import shutil
import socket
import subprocess
import sys
import threading
from collections.abc import Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from time import monotonic, sleep
from typing import Any, TypeVar

import gradio as gr
import pytest
from playwright.sync_api import Page, expect

from app.controls import Controls, settings_controls
from app.engines import Engines
from dllm.engine import Engine

ROOT = Path(__file__).parents[2]
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
T = TypeVar("T")
PATIENCE = 120  # seconds; only a hang takes this long
expect.set_options(timeout=30_000)


@pytest.fixture(scope="session")
def base_url() -> None:
    """In place of the plugin's own fixture, which pytest warns about."""


@pytest.fixture(scope="session")
def browser_type_launch_args(browser_type_launch_args: dict[str, Any]) -> dict[str, Any]:
    if CHROMIUM is None:
        pytest.skip("no chromium on this machine")
    return {**browser_type_launch_args, "executable_path": CHROMIUM, "args": ["--no-sandbox", "--disable-gpu"]}


def run_async(work: Coroutine[Any, Any, T]) -> T:
    """The result of a coroutine, run in a thread of its own: in this one the browser's loop may run."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, work).result()


class Server:
    """A served app. What it prints can be waited for, and lines can be given to it."""

    def __init__(self, *command: str) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}/"
        self.process = subprocess.Popen(
            [sys.executable, *command], cwd=ROOT, env={**os.environ, "GRADIO_SERVER_PORT": str(self.port)}, text=True,
            bufsize=1, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip
        self.printed: list[str] = []
        self._lines: queue.Queue[str] = queue.Queue()
        self._reader = threading.Thread(target=self._read)
        self._reader.start()
        self._wait_until_open()

    def _read(self) -> None:
        assert self.process.stdout
        for line in self.process.stdout:
            self.printed.append(line)
            self._lines.put(line.strip())

    def _wait_until_open(self) -> None:
        began = monotonic()
        while monotonic() - began < PATIENCE and self.process.poll() is None:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            sleep(0.1)
        self.close()
        pytest.fail("the app did not start:\n" + "".join(self.printed))

    def next_line(self, seconds: float) -> str | None:
        """The next line that the app prints within so many seconds, or None."""
        try:
            return self._lines.get(block=seconds > 0, timeout=seconds or None)
        except queue.Empty:
            return None

    def expect(self, line: str) -> None:
        """Wait until the app prints a line."""
        while self._lines.get(timeout=PATIENCE) != line:
            pass

    def forget(self) -> None:
        """Drop what was printed so far."""
        while self.next_line(0) is not None:
            pass

    def say(self, line: str) -> None:
        """Give the app a line."""
        assert self.process.stdin
        self.process.stdin.write(line + "\n")

    def close(self) -> None:
        """End the process and what hangs on it."""
        self.process.terminate()
        self._reader.join(PATIENCE)
        self.process.wait(PATIENCE)
        for pipe in (self.process.stdin, self.process.stdout):
            assert pipe
            pipe.close()


@pytest.fixture(scope="session")
def url() -> Iterator[str]:
    """The address of the app as it is started by hand, on the default model."""
    server = Server("app.py")
    yield server.url
    server.close()


@pytest.fixture(scope="session")
def scripted() -> Iterator[Server]:
    """The app on an engine that plays the script which the prompt names."""
    server = Server("-m", "tests.app.scripted")
    yield server
    server.close()


@pytest.fixture(scope="session")
def engines() -> Engines:
    """The default model in this process, loaded once."""
    engines = Engines()
    engines.load("default").result()
    return engines


@pytest.fixture(scope="session")
def engine(engines: Engines) -> Engine:
    """The default model itself."""
    return engines.load("default").result()


@pytest.fixture(scope="session")
def controls() -> Controls:
    """The controls of a page, without the page."""

    async def made() -> Controls:  # where no event loop runs, gradio opens loops of its own and leaves them open
        with gr.Blocks():
            return settings_controls()

    return run_async(made())


@contextmanager
def clean(page: Page) -> Iterator[Page]:
    """A page that must neither ask another server for anything nor report an error."""
    outside: list[str] = []
    errors: list[str] = []
    page.on(
        "request",
        lambda r: None if r.url.startswith(("http://127.0.0.1:", "data:", "blob:", "file:")) else outside.append(r.url),
    )
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
    page.on("response", lambda r: errors.append(f"{r.status} {r.url}") if r.status >= 400 else None)
    page.on("dialog", lambda dialog: (errors.append(f"dialog: {dialog.message}"), dialog.dismiss()))
    yield page
    assert outside == []
    assert errors == []


@pytest.fixture(scope="session")
def browser_context_args(browser_context_args: dict[str, Any]) -> dict[str, Any]:
    """Nothing plays by itself; the tests of what does ask for motion."""
    return {**browser_context_args, "reduced_motion": "reduce"}


@pytest.fixture
def page(page: Page) -> Iterator[Page]:
    with clean(page):
        yield page
