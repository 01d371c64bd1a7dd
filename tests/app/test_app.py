"""`app.py` as a Space starts it, and the app as a program calls it."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from gradio_client import Client

from app.serving import launch_kwargs
from tests.app.conftest import Server

ROOT = Path(__file__).parents[2]


def test_app_py_exposes_the_demo_and_loads_no_model() -> None:
    assert len((ROOT / "app.py").read_text().splitlines()) <= 20
    script = """
import runpy, sys
demo = runpy.run_path("app.py")["demo"]
print(type(demo).__name__, "torch" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["Page", "False"]


def test_the_address_can_be_set_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("GRADIO_SERVER_NAME", "GRADIO_SERVER_PORT", "PORT"):
        monkeypatch.delenv(name, raising=False)
    assert (launch_kwargs()["server_name"], launch_kwargs()["server_port"]) == ("127.0.0.1", 7860)
    monkeypatch.setenv("GRADIO_SERVER_NAME", "0.0.0.0")
    monkeypatch.setenv("PORT", "8000")
    assert (launch_kwargs()["server_name"], launch_kwargs()["server_port"]) == ("0.0.0.0", 8000)


@pytest.fixture(scope="module")
def client(scripted: Server) -> Client:
    return Client(scripted.url, verbose=False)


def request(client: Client, prompt: str) -> dict[str, object]:
    """Every argument of the page's Decode by name, as the page would send it untouched."""
    parameters = client.view_api(return_format="dict", print_info=False)["named_endpoints"]["/page_decode"][
        "parameters"
    ]  # type: ignore[index]
    return {p["parameter_name"]: p["parameter_default"] for p in parameters} | {"prompt": prompt}


def test_only_decoding_and_racing_are_public_and_parameters_have_names(client: Client) -> None:
    endpoints = client.view_api(return_format="dict", print_info=False)["named_endpoints"]  # type: ignore[index]
    assert list(endpoints) == ["/page_decode", "/page_race", "/decode"]
    assert [p["parameter_name"] for p in endpoints["/decode"]["parameters"]] == [
        "prompt", "preset", "settings", "model",
    ]  # fmt: skip

    assert list(request(client, ""))[:3] == ["prompt", "model", "autoregressive"]


@pytest.mark.parametrize("prompt", ["", "x" * 4001])
def test_the_limits_hold_for_programs_too(client: Client, prompt: str) -> None:
    with pytest.raises(Exception, match=r"The prompt (is empty|has 4001 characters); allowed: 1 to 4000"):
        client.predict(**request(client, prompt), api_name="/page_decode")


def test_a_value_out_of_range_is_refused(client: Client) -> None:
    given = request(client, "Hello")
    length = list(given)[3]  # the first of the settings
    with pytest.raises(Exception, match=r"greater than maximum value 256"):
        client.predict(**{**given, length: 100_000}, api_name="/page_decode")


def test_a_run_streams_every_pass_in_order(client: Client) -> None:
    sent = [json.loads(text) for text in client.submit(**request(client, "Hello"), api_name="/page_decode")]
    assert sent[-1]["done"] is True
    for lane in sent[-1]["lanes"]:
        streamed = [part["frames"] for m in sent[:-1] for part in m["lanes"] if part["name"] == lane["name"]]
        last = [frames[-1]["i"] for frames in streamed if frames]
        steps = [frame["i"] for frame in lane["frames"]]
        assert list(dict.fromkeys(frame["i"] for frames in streamed for frame in frames)) == steps
        assert last == sorted(last)
        assert len(last) >= 3  # some passes, the end, and as it is judged
