"""How quickly the viewer draws long traces: `python -m tests.app.speed`. A command, because time is no test.

Scrubbing: a made-up trace of 512 steps × 1,024 positions, 512 of them generated, with score sheet or ledger on show;
counted from the slider's event to the end of the frame it brings about. Attention: maps of 256 × 256, 30 layers of 9
heads; counted is the answer to the page's question, and then the drawing of one head. In Chromium without a GPU.
"""

import sys
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import perf_counter

import numpy as np
from playwright.sync_api import Page, sync_playwright

from dllm.settings import Settings
from dllm.trace import StepRecord
from dllm.trace.attention import Maps, MapsWriter
from tests.app.conftest import CHROMIUM
from tests.app.test_inspector import Stand
from tests.dllm.traces import large, made
from visualize.replay import Replay
from visualize.views import VIEWS

WAYS = {"forwards": range(100, 180), "backwards": range(400, 320, -1), "by jumps": [37 * i % 512 for i in range(80)]}
SCRUB = """async (steps) => {
  const slider = document.querySelector(".bs-scrub"), took = [];
  for (const step of steps) {
    const began = performance.now();
    slider.value = step;
    slider.dispatchEvent(new Event("input", { bubbles: true }));
    await new Promise((done) => requestAnimationFrame(() => {
      const painted = new MessageChannel();
      painted.port1.onmessage = done;
      painted.port2.postMessage(0);
    }));
    took.push(performance.now() - began);
  }
  return took;
}"""


DRAW = """async (head) => {
  const plane = document.querySelector(".bs-extra select[aria-label=Plane]");
  const plot = Array.from(document.querySelectorAll(".bs-plot")).at(-1);
  const began = performance.now();
  const drawn = new Promise((done) => plot.once("plotly_afterplot", done));
  plane.value = head;
  plane.dispatchEvent(new Event("change"));
  await drawn;
  await new Promise(requestAnimationFrame);
  return performance.now() - began;
}"""


def tell(what: str, took: list[float]) -> None:
    worst = sorted(took)[int(0.95 * len(took))]
    sys.stdout.write(f"{what}: median {median(took):.1f} ms, 95 % within {worst:.1f} ms\n")


def scrub(page: Page) -> None:
    made = large()
    trace = made.model_copy(update={"settings": {**Settings().as_json(), **made.settings}})
    stand = Stand(page, Replay({"diffusion": trace}))
    for view in ("score", "ledger"):
        stand.show(view)
        page.wait_for_timeout(1000)
        for way, steps in WAYS.items():
            tell(f"{VIEWS[view].title}, a step {way}", page.evaluate(SCRUB, list(steps)))


def attention(page: Page, folder: Path) -> None:
    asked = list(range(64, 96))
    fields = {"kind": "denoise", "block": (64, 96), "window": (64, 96), "queries": [(0, 256)], "visible": 256}
    guesses = {"positions": asked, "tokens": [7] * 32, "confidence": [0.5] * 32, "committed": asked[:3]}
    settings = {**Settings().as_json(), "gen_length": 192, "sub_block_size": 32, "attention": "block_causal"}
    trace = made(StepRecord(index=0, seconds=0.1, **fields, **guesses), prompt=[1] * 64, **settings)
    maps = np.random.default_rng(0).exponential(size=(30, 9, 256, 256)).astype(np.float32)
    with MapsWriter(folder / "maps.npz") as writer:
        writer.add(0, maps / maps.sum(-1, keepdims=True))
    replay = Replay({"diffusion": trace}, {"diffusion": Maps.open(folder / "maps.npz")})
    for question in ({"view": "maps", "layer": 29}, {"view": "rollout_at"}):
        took = []
        for _ in range(9):
            began = perf_counter()
            replay.ask({"lane": "diffusion", "step": 0, **question})
            took.append(1000 * (perf_counter() - began))
        tell(f"Attention, the answer to {question['view']!r}", took)
    stand = Stand(page, replay).show("attention")
    page.get_by_label("Map", exact=True).select_option("layer 30")
    stand.ready()
    page.wait_for_timeout(1000)
    tell("Attention, drawing a head", [page.evaluate(DRAW, head) for head in range(1, 10)])


def main() -> None:
    with sync_playwright() as playwright, TemporaryDirectory() as folder:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        scrub(browser.new_page(viewport={"width": 1280, "height": 900}))
        attention(browser.new_page(viewport={"width": 1280, "height": 900}), Path(folder))
        browser.close()


if __name__ == "__main__":
    main()
