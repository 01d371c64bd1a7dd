"""The page as it is served: hosts, headers, what it gives away, and refusals of values that no control gives."""

import json
import os
import subprocess
import sys
from pathlib import Path
from threading import Thread
from typing import Any

import httpx
import pytest

from app.folders import clean
from app.serving import POLICY, allowed, hosts
from tests.app.conftest import Server

ROOT = Path(__file__).parents[2]


class Served:
    """A served page, and visitors who call it without a browser."""

    def __init__(self, server: Server) -> None:
        self.server, self.url = server, server.url
        self.config = httpx.get(server.url + "config").json()

    def index(self, name: str) -> int:
        return next(each["id"] for each in self.config["dependencies"] if each["api_name"] == name)

    def defaults(self, name: str) -> list[Any]:
        """What an untouched page sends, with a prompt that the scripted engine knows."""
        each = next(each for each in self.config["dependencies"] if each["api_name"] == name)
        values = {c["id"]: c["props"].get("value") for c in self.config["components"]}
        return ["hostile", *[values[number] for number in each["inputs"]][1:]]

    def call(self, name: str, data: list[Any], session: str) -> list[dict[str, Any]]:
        """All that the queue says of one request."""
        body = json.dumps({"data": data, "fn_index": self.index(name), "session_hash": session})
        joined = httpx.post(
            f"{self.url}gradio_api/queue/join", content=body, headers={"Content-Type": "application/json"}
        )
        assert joined.status_code == 200, joined.text
        said = []
        with httpx.stream(
            "GET", f"{self.url}gradio_api/queue/data", params={"session_hash": session}, timeout=60
        ) as stream:
            for line in stream.iter_lines():
                if line.startswith("data:"):
                    said.append(json.loads(line[5:]))
                    if said[-1]["msg"] in ("process_completed", "unexpected_error"):
                        break
        return said


@pytest.fixture(scope="module")
def served(scripted: Server) -> Served:
    return Served(scripted)


def test_a_foreign_host_is_refused(served: Served) -> None:
    """A name of a stranger's that leads to this machine: its pages must not reach this one (DNS rebinding)."""
    for host in ("evil.example", "evil.example:7860", "localhost.evil.example", "127.0.0.1.evil.example", ""):
        answer = httpx.get(served.url, headers={"Host": host, "Origin": "https://evil.example"})
        assert answer.status_code == 400
        assert "Blockscope" not in answer.text
    assert httpx.get(served.url).status_code == 200


@pytest.mark.parametrize(
    ("host", "known"),
    [
        ("localhost:7860", True),
        ("127.0.0.1:7860", True),
        ("[::1]:7860", True),
        ("192.168.1.7", True),  # an address cannot be bound to another
        ("me-blockscope.hf.space", True),
        ("LAB.example.", True),
        ("gpu.cluster.example:8000", True),
        ("cluster.example", False),
        ("hf.space", False),
        ("evilhf.space", False),
        ("", False),
        ("[", False),
        ("evil.example", False),
    ],
)
def test_which_hosts_are_known(host: str, known: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRADIO_ALLOWED_HOSTS", "lab.example, *.cluster.example")
    assert allowed(host, hosts("0.0.0.0")) == known


def test_every_answer_says_what_a_browser_may_do(served: Served) -> None:
    for path in ("", "plotly.min.js", "gradio_api/info", "nothing"):
        headers = httpx.get(served.url + path).headers
        assert headers["Content-Security-Policy"] == POLICY
        assert headers["X-Content-Type-Options"] == "nosniff"
    assert "frame-ancestors 'self' https://huggingface.co https://*.hf.space" in POLICY


def test_nothing_reveals_where_the_page_is_installed(served: Served) -> None:
    import plotly

    places = [str(ROOT), str(Path(plotly.__file__).parent.parent)]
    for path in ("", "config", "gradio_api/info", "gradio_api/openapi.json"):
        text = httpx.get(served.url + path).text
        assert not [place for place in places if place in text], path


def test_plotly_is_served_from_here(served: Served) -> None:
    answer = httpx.get(served.url + "plotly.min.js")
    assert answer.status_code == 200
    assert "plotly" in answer.text[:500]


@pytest.mark.parametrize("value", [[1, 2], {"a": 1}, "x\x00y", "many", None, "half \ud83d", 1e400])
@pytest.mark.parametrize("name", ["page_decode", "page_race"])
def test_a_value_that_no_control_gives_is_refused_with_a_sentence(served: Served, name: str, value: Any) -> None:
    defaults = served.defaults(name)
    wrong = []
    for place in range(len(defaults)):
        given = [*defaults[:place], value, *defaults[place + 1 :]]
        last = served.call(name, given, f"{name}{place}")[-1]
        if last["msg"] != "process_completed" or (not last["success"] and not last["output"].get("error")):
            wrong.append((place, last))
    assert not wrong


def test_a_class_that_presses_decode_together_is_served(served: Served) -> None:
    """None is refused, and each ends with its own run."""
    given, last = served.defaults("page_decode"), {}

    def visit(number: int) -> None:
        last[number] = served.call("page_decode", given, f"pupil{number}")[-1]

    pupils = [Thread(target=visit, args=[number]) for number in range(32)]
    for pupil in pupils:
        pupil.start()
    for pupil in pupils:
        pupil.join(120)
    assert [last[number]["success"] for number in range(32)] == [True] * 32


def test_folders_of_servers_that_are_gone_are_removed(tmp_path: Path) -> None:
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    for name in (str(gone.pid), str(os.getpid()), "else"):
        (tmp_path / name / "run-x").mkdir(parents=True)
    clean(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([str(os.getpid()), "else"])


def test_a_terminated_server_leaves_no_folder(tmp_path: Path) -> None:
    script = """
from app.folders import clean_when_terminated, new_folder
clean_when_terminated()
print(new_folder(), flush=True)
input()
"""
    server = subprocess.Popen(
        [sys.executable, "-c", script], cwd=ROOT, env={**os.environ, "TMPDIR": str(tmp_path)}, text=True,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    )  # fmt: skip
    with server:
        assert server.stdout
        folder = Path(server.stdout.readline().strip())
        assert folder.is_dir()
        assert tmp_path in folder.parents
        server.terminate()
        assert server.wait(30) == -15
    assert not folder.parent.exists()
