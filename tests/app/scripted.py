"""An engine that plays a script: for what no model can be told to do, such as writing hostile text or waiting.

`python -m tests.app.scripted` serves the app on it. The prompt names the script; every line on standard input lets a
gated run take one more pass, and the engine prints what happens.
"""

import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from threading import Event, Semaphore, Thread
from typing import Any

from app.engines import Engines
from app.page import build
from dllm.canvas import Canvas
from dllm.settings import Choice, Settings
from dllm.step import Plan, Readout, Step
from dllm.trace import StepRecord, Trace
from dllm.trace.records import record
from dllm.trace.schema import Environment, ModelRecord, Timing

PROMPT = [0, 0, 0]
STOP_ID = 1
HOSTILE = [
    "<img src=x onerror=alert(1)>", "<script>alert(2)</script>", "${alert(3)}", "{{value}}", "`", "\\", "@children",
    " javascript:alert(4)", "\u202eevil\u202c", "\u200b", "\x00", "\x1b[31m", "\n", "\t", " ", "", "\ufffd", "e\u0301",
    "\u0301", "</div>", '" onload="alert(5)', "&lt;b&gt;", "\U0001f9e9", "\u05d0\u05d1",
]  # fmt: skip
SCRIPTS = {"hostile": HOSTILE, "gated": [f" word{i}" for i in range(30)]}


class ScriptedEngine:
    """Each run writes the pieces from left to right, one a pass, and ends at the stop token.

    With a `gate`, every pass waits until the gate is released once. `closed` tells that a run was freed.
    """

    def __init__(self, pieces: Sequence[str], *, gate: Semaphore | None = None) -> None:
        self.pieces = ["prompt", "<stop>", *pieces]
        self.gate = gate
        self.closed = Event()
        self.passes = 0

    def load(self, name: str, *, progress: Any = None) -> Any:
        return self

    def warm(self) -> None:
        pass

    def describe(self) -> dict[str, Any]:
        return {
            "id": "scripted", "parameters": 0, "dtype": "none", "device": "no device", "threads": 1, "warm_up": 0,
        }  # fmt: skip

    tokenizer = None

    def steps(self, run: "ScriptedRun") -> Iterator[Step]:
        return iter(run)

    def log_prob(self, prompt: list[int], answer: list[int]) -> None:
        """There is no network that could judge."""

    def begun(self) -> None:
        pass

    def passed(self) -> None:
        self.passes += 1

    def freed(self) -> None:
        self.closed.set()

    def run(self, prompt: str, settings: Settings) -> "ScriptedRun":
        return ScriptedRun(self, replace(settings, gen_length=len(self.pieces) - 1))


class ScriptedRun:
    def __init__(self, engine: ScriptedEngine, settings: Settings) -> None:
        self.engine, self.prompt = engine, PROMPT
        self.settings = replace(
            settings, attention="bidirectional", sub_block_size=settings.block_size, cache=Choice("none"),
            unmask=settings.rule, stop_ids=(STOP_ID,),
        )  # fmt: skip
        self.canvas = Canvas(
            PROMPT, settings.gen_length, block_size=settings.block_size, mask_id=99, shift=0,
            attention="bidirectional", stop_ids=[STOP_ID],
        )  # fmt: skip
        self.records: list[StepRecord] = []

    def piece(self, token: int) -> str:
        return self.engine.pieces[token]

    def fragment(self, token: int) -> None:
        return None

    def __iter__(self) -> Iterator[Step]:
        self.engine.begun()
        tokens = [*range(2, len(self.engine.pieces)), STOP_ID]
        try:
            for index, token in enumerate(tokens):
                if self.engine.gate:
                    assert self.engine.gate.acquire(timeout=120)
                yield self._step(index, token)
        finally:
            self.engine.freed()

    def _step(self, index: int, token: int) -> Step:
        start = len(PROMPT) + index
        masked = list(range(start, self.canvas.end))
        plan = Plan(range(self.canvas.end), self.canvas.ids, self.canvas.end, masked, "denoise")
        row = [(token, 0.75), *((i, 0.05) for i in range(4))]
        readout = Readout(masked, [token] * len(masked), [0.75] * len(masked), alternatives=[row] * len(masked))
        self.canvas.commit(start, token)
        step = Step(index, self.canvas.block_at(start), (start, self.canvas.end), plan, readout, [start], [], 0.01)
        self.records.append(record(step))
        self.engine.passed()
        return step

    def trace(self) -> Trace:
        return Trace(
            schema="blockscope.trace/1",
            model=ModelRecord(id="scripted", family="none", dtype="none", parameters=0, layers=0, heads=0),
            settings=self.settings.as_json(),
            environment=Environment(device="no device", torch="none", threads=1),
            prompt=self.prompt,
            output=self.canvas.output,
            stop_reason=self.canvas.stop_reason or "cancelled",  # type: ignore[arg-type]
            steps=self.records,
            timing=Timing(ttft=None, decode=0.0, recorder=0.0),
        )


class Announced(ScriptedEngine):
    """Plays the script that the prompt names, or the prompt itself, and prints what happens."""

    def run(self, prompt: str | list[int], settings: Settings) -> ScriptedRun:
        if not isinstance(prompt, str):  # a reference, which nobody watches
            return ScriptedRun(ScriptedEngine(self.pieces[2:]), settings)
        pieces = SCRIPTS.get(prompt, [prompt, " and", " so", " on"])
        engine = Announced(pieces, gate=self.gate if prompt == "gated" else None)
        self.pieces = engine.pieces
        return ScriptedRun(engine, replace(settings, gen_length=len(engine.pieces) - 1))

    def begun(self) -> None:
        while self.gate and self.gate.acquire(blocking=False):
            pass  # what an earlier run was still allowed
        say("begun")

    def passed(self) -> None:
        super().passed()
        say(f"pass {self.passes}")

    def freed(self) -> None:
        super().freed()
        say(f"freed after {self.passes}")


def say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def main() -> None:
    gate = Semaphore(0)

    def listen() -> None:
        for _ in sys.stdin:
            gate.release()

    Thread(target=listen, daemon=True).start()
    build(Engines(Announced([], gate=gate).load)).launch()


if __name__ == "__main__":
    main()
