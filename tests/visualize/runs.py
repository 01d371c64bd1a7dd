"""Real runs of tiny random networks as replays, with everything that can be recorded beside them."""

from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from dllm.bench.references import References
from dllm.engine.drift import DriftReplay
from dllm.models.families import FAST_DLLM_V2, LLADA
from dllm.settings import Choice, Settings
from dllm.trace import Trace
from dllm.trace.attention import Maps, MapsWriter
from tests.dllm.nets import engine_of, hybrid_engine
from visualize.replay import Replay

RECORD = ("alternatives", "rollout", "attention")
WAYS = {
    "d2": (LLADA, Settings(gen_length=16, block_size=8, cache=Choice("d2", {"k": 3}), record=RECORD)),
    "sub_block": (FAST_DLLM_V2, Settings(gen_length=16, block_size=8, sub_block_size=4, record=RECORD)),
    "ar": (FAST_DLLM_V2, Settings(gen_length=8, block_size=1, record=RECORD)),
}
PIECES = {3: "<img src=x onerror=alert(1)>", 5: "</script><script>alert(2)</script>", 7: "${alert(3)}", 9: " a"}


@cache
def recorded(way: str = "d2") -> Replay:
    """A lane with attention, rollout and drift, whose tokens have hostile names."""
    spec, settings = WAYS[way]
    engine = engine_of(spec, seed=1)
    run = engine.run([1, 2, 3, 4, 5], settings)
    with TemporaryDirectory() as folder:
        path = Path(folder) / "maps.npz"
        with MapsWriter(path) as writer:
            for step in run:
                writer.add(step.index, step.readout.attention)
        maps = Maps.open(path.read_bytes())
    shadow = DriftReplay(engine, run.trace())
    assert list(shadow)
    references = References(engine)
    assert list(references.decode(run.trace())) or way == "ar"
    trace = references.compared(run.trace())
    trace = trace.model_copy(update={"pieces": {i: PIECES.get(i, f" t{i}") for i in range(40)}})
    lane = "ar" if way == "ar" else "diffusion"
    return Replay({lane: trace}, {lane: maps}, {lane: shadow.drift})


@cache
def verified(length: int = 24) -> Trace:
    """Verified decoding by a network some of whose guesses are right; its drafts met every fate there is."""
    rule = Choice("verify", {"drafts": 3, "least": 0.0})
    run = hybrid_engine(34).run([1, 2, 3, 4, 5], Settings(gen_length=length, unmask=rule, stop_ids=()))
    for _ in run:
        pass
    trace = run.trace()
    assert {len(step.remasked) for step in trace.steps} >= {0, 1, 2}
    assert any(len(step.committed) > 2 for step in trace.steps)
    return trace.model_copy(update={"pieces": {i: PIECES.get(i, f" t{i}") for i in range(40)}})


def saved(replay: Replay, folder: Path, name: str = "run") -> list[Path]:
    """The replay's only lane as files: the trace and what lies beside it, but for attention."""
    (lane, trace), *_ = replay.traces.items()
    trace.save(folder / f"{name}.json.gz")
    replay.drifts[lane].save(folder / f"{name}.drift.npz")
    return [folder / f"{name}.json.gz", folder / f"{name}.drift.npz"]


def without(trace: Trace, **fields: Any) -> dict[str, Any]:
    """A trace as plain data with some fields replaced."""
    return {**trace.as_dict(), **fields}
