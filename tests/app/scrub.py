"""How long one scrubbed step takes in a long trace: `python -m tests.app.scrub`. A command, because time is no test.

A made-up trace of 512 steps × 1,024 positions, 512 of them generated, with score sheet or ledger on show, in Chromium
without a GPU.
Counted: from the slider's event to the end of the frame it brings about.
"""

import sys
from statistics import median

from playwright.sync_api import sync_playwright

from dllm.settings import Settings
from tests.app.conftest import CHROMIUM
from tests.app.test_inspector import Stand
from tests.dllm.test_metrics import large
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


def main() -> None:
    made = large()
    trace = made.model_copy(update={"settings": {**Settings().as_json(), **made.settings}})
    replay = Replay({"diffusion": trace})
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        stand = Stand(page, replay)
        for view in ("score", "ledger"):
            stand.show(view)
            page.wait_for_timeout(1000)
            for way, steps in WAYS.items():
                took = page.evaluate(SCRUB, list(steps))
                worst = sorted(took)[int(0.95 * len(took))]
                sys.stdout.write(
                    f"{VIEWS[view].title}, {way}: median {median(took):.1f} ms a step, 95 % within {worst:.1f} ms\n"
                )
        browser.close()


if __name__ == "__main__":
    main()
