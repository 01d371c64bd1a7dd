"""How much the page slows a run down: `python -m tests.app.pace`. A command, because time is no test.

A run of 768 tokens is decoded without a page, for a client of the served page and for a browser, in turn. Measured is
the time from its first pass to its last, in the network's own thread. The network is a stand-in: a pass waits as long
as one on a GPU would, with the interpreter free meanwhile, and gives what a real one gave before. All else is what the
page does. The browser, which would have a machine of its own, shares this one's cores with the run.
"""

import subprocess
import sys
from collections.abc import Generator
from statistics import median
from time import perf_counter, sleep
from typing import Any

from playwright.sync_api import Page, expect, sync_playwright

from app.engines import Engines
from app.page import build
from dllm.models.families import FAST_DLLM_V2
from dllm.settings import Choice, Settings
from dllm.step import Step
from tests.app.conftest import CHROMIUM
from tests.dllm.nets import engine_of

WAITS = (0.001, 0.002, 0.006)  # seconds; the last two are about those of 1.5 B and 7 B parameters
ROUNDS = 9
SETTINGS = Settings(gen_length=768, unmask=Choice("top_k", {"k": 2}), stop_ids=(), record=("alternatives",))


class Clocked:
    """An engine that gives the same answer whatever is asked, and notes how long that takes."""

    tokenizer = None

    def __init__(self) -> None:
        self.engine = engine_of(FAST_DLLM_V2, context=2048)
        self.answers = [step.readout for step in self.run("", SETTINGS)]
        self.wait = 0.0
        self.took: list[float] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self.engine, name)

    def load(self, name: str, *, progress: Any = None) -> Any:
        return self

    def run(self, prompt: Any, settings: Settings) -> Any:
        return self.engine.run([1, 2, 3], SETTINGS)

    def steps(self, run: Any) -> Generator[Step, None, None]:
        began = perf_counter()
        for answer in self.answers:
            run.plan()
            sleep(self.wait)
            step = run.commit(answer)
            run.record(step)
            yield step
        self.took.append(perf_counter() - began)


CLIENT = """
import sys
from gradio_client import Client
client = Client(sys.argv[1], verbose=False)
asked = client.view_api(print_info=False, return_format="dict")["named_endpoints"]["/page_decode"]["parameters"]
values = ["Count", "default", False, *(each.get("parameter_default") for each in asked[3:])]
for _ in sys.stdin:
    print(sum(1 for _ in client.submit(*values, api_name="/page_decode")), flush=True)
"""


def without_page(engine: Clocked, engines: Engines) -> float:
    with engines.visit() as visit:
        for _ in visit.drive(engine.steps(engine.run("", SETTINGS))):
            pass
    return engine.took[-1]


def for_client(engine: Clocked, client: subprocess.Popen[str]) -> float:
    assert client.stdin
    assert client.stdout
    client.stdin.write("\n")
    client.stdin.flush()
    client.stdout.readline()
    return engine.took[-1]


def for_browser(engine: Clocked, page: Page) -> float:
    page.get_by_role("button", name="Decode", exact=True).click()
    expect(page.locator(".bs")).not_to_have_attribute("data-state", "done")
    expect(page.locator(".bs")).to_have_attribute("data-state", "done", timeout=60_000)
    return engine.took[-1]


def main() -> None:
    engine = Clocked()
    engines = Engines(engine.load)
    demo = build(engines)
    _, url, _ = demo.launch(server_port=7869, prevent_thread_lock=True, quiet=True)
    command = [sys.executable, "-c", CLIENT, url]
    with (
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as client,
        sync_playwright() as playwright,
    ):
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        page.goto(url)
        page.get_by_role("checkbox", name="Then decode with AR as well").uncheck()
        for engine.wait in WAITS:
            laps = [
                (without_page(engine, engines), for_client(engine, client), for_browser(engine, page))
                for _ in range(ROUNDS + 1)
            ][1:]
            each = 1000 * median(nobody for nobody, _, _ in laps) / len(engine.answers)
            served, shown = (median(lap[n] / lap[0] for lap in laps) for n in (1, 2))
            sys.stdout.write(
                f"{len(engine.answers)} passes of {each:.2f} ms: times {served:.3f} for a client, "
                f"{shown:.3f} for a browser on the same cores\n"
            )
        browser.close()
        client.kill()
    demo.close()


if __name__ == "__main__":
    main()
