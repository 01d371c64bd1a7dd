"""The benchmark on tiny nets: what is timed is what is decoded, in turns, and compared with exact decoders."""

from collections.abc import Iterable
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dllm import cli
from dllm.bench import suite
from dllm.bench.document import Benchmark
from dllm.bench.plan import CHECKED_LENGTH, OPEN_LENGTH, BenchPlan, first_of_each_kind
from dllm.bench.references import exact_settings
from dllm.bench.runner import Bench, Result, file_name, layout, wall
from dllm.bench.suite import Item
from dllm.bench.ways import ways
from dllm.decode import resolve
from dllm.engine import Engine
from dllm.engine.race import rotated
from dllm.engine.run import Run
from dllm.models.families import FAST_DLLM_V2, LLADA, LLAMA
from dllm.models.likelihood import log_probabilities
from dllm.settings import Choice, Settings
from dllm.trace import Trace
from dllm.trace.compare import distance
from tests.dllm.nets import hybrid_engine
from tests.dllm.suites import SUITE, engine, with_letters

BOTH = replace(FAST_DLLM_V2, attentions=("block_causal", "bidirectional"))
LENGTHS = {"a": CHECKED_LENGTH, "b": CHECKED_LENGTH, "c": OPEN_LENGTH}


def last(made: Engine, plan: BenchPlan, **more: Any) -> Result:
    *_, result = Bench(made, SUITE, plan, **more)
    return result


@pytest.fixture(scope="module")
def result() -> Result:
    return last(engine(BOTH), BenchPlan(only="0.9", batches=(1, 2), rounds=3, traces=True))


def decoded(made: Engine, settings: Settings) -> list[Any]:
    runs = [made.run(item.prompt, replace(settings, gen_length=LENGTHS[item.id])) for item in SUITE.items]
    for run in runs:
        for _ in run:
            pass
    return runs


def test_every_way_is_timed_at_every_batch_size_and_ar_with_them(result: Result) -> None:
    made = engine(BOTH)
    names = [name for name in ways(made.traits) if "0.9" in name or name == "AR"]
    assert [(row.name, row.batch) for row in result.benchmark.rows] == [(n, b) for b in (1, 2) for n in names]
    assert len(names) == 8


def test_a_row_is_what_the_same_settings_write_alone(result: Result) -> None:
    made = engine(BOTH)
    for row in result.benchmark.rows:
        settings = Settings.from_json(row.settings)
        runs = decoded(made, settings)
        exact = decoded(made, exact_settings(settings, made.traits))
        outputs = [(run.canvas.output, other.canvas.output) for run, other in zip(runs, exact, strict=True)]
        assert row.prompts == 3
        assert row.tokens == sum(len(ids) for ids, _ in outputs)
        assert row.passes == sum(len(run.records) for run in runs)
        assert row.same.value == pytest.approx(sum(a == b for a, b in outputs) / 3, abs=1e-4)
        far = [distance(a, b) / max(len(a), len(b)) for a, b in outputs]
        assert row.distance.value == pytest.approx(sum(far) / 3, abs=1e-4)
        logs = log_probabilities(made.model.net, [(run.prompt, run.canvas.output) for run in runs])
        assert row.log_prob is not None
        assert row.log_prob.value == pytest.approx(sum(map(sum, logs)) / row.tokens, abs=1e-3)
        right = [suite.is_correct(item, run.text) for item, run in zip(SUITE.items, runs, strict=True) if item.check]
        assert row.score is not None
        assert row.score.value == sum(right) / 2
        assert row.tps.value == pytest.approx(row.tokens / row.seconds, rel=1e-3, abs=1e-3)


def test_the_exact_decoder_keeps_blocks_and_attention_and_drops_the_rest() -> None:
    made = engine(BOTH)
    for settings in ways(made.traits).values():
        resolved, exact = resolve(settings, made.traits), exact_settings(settings, made.traits)
        assert layout(resolved) == layout(exact) == layout(resolve(exact, made.traits))
        assert (exact.cache, exact.unmask) == (Choice("none"), Choice("top_k", {"k": 1}))
    d2 = exact_settings(Settings(cache=Choice("d2")), made.traits)
    assert d2.attention == "bidirectional"


def test_an_exact_way_is_its_own_exact_decoder(result: Result) -> None:
    ar = result.benchmark.rows[0]
    assert (ar.name, ar.same.value, ar.distance.value, ar.departs) == ("AR", 1.0, 0.0, None)


def test_the_sample_is_the_same_prompt_for_all_and_has_its_reference(result: Result) -> None:
    made = engine(BOTH)
    assert {row.trace for row in result.benchmark.rows if row.batch == 1} == set(result.traces)
    assert {row.trace for row in result.benchmark.rows if row.batch > 1} == {None}
    for row in result.benchmark.rows[:6]:
        assert row.trace is not None
        trace = result.traces[row.trace]
        assert trace.prompt == made.tokenizer.chat("c")  # the open one: it is the longest
        assert trace.gate is not None
        assert (trace.gate.item, trace.gate.right) == ("c", None)
        (exact,) = decoded(made, exact_settings(Settings.from_json(row.settings), made.traits))[2:]
        assert trace.gate.references == {"one_by_one": exact.canvas.output}
        (logs,) = log_probabilities(made.model.net, [(trace.prompt, trace.output)])
        assert trace.gate.log_prob == pytest.approx(sum(logs) / len(logs))
        assert len(trace.timing.laps) == 3
        assert trace.timing.decode == sorted(trace.timing.laps)[1]
        assert trace.timing.decode == pytest.approx(sum(step.seconds for step in trace.steps))


def test_ways_take_each_prompt_in_turn_in_an_order_that_rotates(monkeypatch: pytest.MonkeyPatch) -> None:
    taken: list[tuple[int, str]] = []
    decode = Bench._decode
    monkeypatch.setattr(Bench, "_decode", lambda self, *a: taken.append((a[1], a[0])) or decode(self, *a))
    last(engine(FAST_DLLM_V2), BenchPlan(only="8/8, block cache, 0.5", rounds=2))
    names = ["AR", "block 8/8, block cache, 0.5"]
    assert [place for place, _ in taken] == [0, 0, 1, 1, 2, 2] * 2
    turns = [[name for _, name in taken[n : n + 2]] for n in range(0, 12, 2)]
    assert turns == [names, names[::-1], names, names[::-1], names, names[::-1]]


def test_a_prompt_takes_its_median_lap(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, measured = count(1), Run.throughput
    monkeypatch.setattr(Run, "throughput", lambda run: replace(measured(run), seconds=next(clock)))
    (row,) = last(engine(LLAMA), BenchPlan(rounds=3)).benchmark.rows
    assert row.seconds == (1 + 3) + (2 + 3) + (3 + 3)  # repeats of the first prompt are 1, 4 and 7


def test_each_result_holds_the_ones_before_and_reads_as_it_was_written(tmp_path: Path) -> None:
    told: list[str] = []
    plan = BenchPlan(only="8/8, block cache, 0.5", batches=(1, 3), rounds=2, traces=True)
    sizes = []
    for result in Bench(engine(FAST_DLLM_V2), SUITE, plan, report=told.append):
        result.save(tmp_path / "mine.json", tmp_path / "mine")
        found = Benchmark.load(tmp_path / "mine.json")
        assert found == result.benchmark
        for row in found.rows:
            if row.trace:
                assert Trace.load(tmp_path / "mine" / row.trace).to_json() == result.traces[row.trace].to_json()
        sizes.append(len(found.rows))
    assert sizes == [2, 2, 3, 4, 4, 4]
    assert found.environment.warm_up > 0
    assert "round 2 of 2, prompt 3 of 3" in told
    assert {path.name for path in tmp_path.iterdir()} == {"mine.json", "mine"}


def test_a_model_without_ar_or_without_diffusion_is_measured_as_far_as_it_goes() -> None:
    (row,) = last(engine(LLADA), BenchPlan(only="0.5", rounds=1)).benchmark.rows
    assert (row.name, row.log_prob, row.trace) == ("full attention, d2 cache, 0.5", None, None)
    (row,) = last(engine(LLAMA), BenchPlan(rounds=1)).benchmark.rows
    assert (row.name, row.same.value) == ("AR", 1.0)


def naive_wall(runs: list[list[float]], batch: int) -> float:
    """Time runs against a table of passes: which run is in which pass."""
    passes: dict[int, list[float]] = {}
    ends: list[int] = [0] * batch  # the pass after which each row is free
    for run in runs:
        row = min(range(batch), key=lambda r: ends[r])
        for n, seconds in enumerate(run):
            passes.setdefault(ends[row] + n, []).append(seconds)
        ends[row] += len(run)
    return sum(map(max, passes.values()))


@given(st.lists(st.lists(st.floats(0, 10), min_size=1, max_size=6), max_size=8), st.integers(1, 9))
def test_the_wall_time_counts_a_pass_once(runs: list[list[float]], batch: int) -> None:
    assert wall(runs, batch) == pytest.approx(naive_wall(runs, batch))
    assert wall(runs, 1) == pytest.approx(sum(map(sum, runs)))


@given(st.lists(st.text(min_size=1), min_size=1, unique=True), st.integers(0, 100))
def test_every_name_begins_in_some_turn(names: list[str], turn: int) -> None:
    assert sorted(rotated(names, turn)) == sorted(names)
    assert {rotated(names, turn + n)[0] for n in range(len(names))} == set(names)


def test_ways_have_files_of_their_own() -> None:
    names = [*ways(engine(BOTH).traits)]
    assert len({file_name(name) for name in names}) == len(names)
    assert file_name("block 32/8, sub_block cache, 0.9") == "block-32-8-sub-block-cache-0-9.json.gz"


def test_a_limit_is_of_each_kind() -> None:
    items = [Item(id=str(n), kind=kind, prompt="?") for n, kind in enumerate("aabab")]
    taken = [[item.id for item in first_of_each_kind(items, limit)] for limit in (1, 2, None)]
    assert taken == [["0", "2"], ["0", "1", "2", "4"], ["0", "1", "2", "3", "4"]]


@pytest.mark.parametrize(
    ("plan", "message"),
    [
        ({"batches": (0,)}, r"batches are \[0\]; allowed: numbers from 1 to 256"),
        ({"batches": ()}, r"batches are \[\]; allowed"),
        ({"batches": (2, 2)}, r"batches are \[2, 2\]; allowed: .* each once"),
        ({"rounds": -1}, "rounds is -1; allowed: 0 to 1000"),
        ({"limit": 0}, "limit is 0; allowed: 1"),
    ],
)
def test_a_plan_out_of_range_is_refused(plan: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        BenchPlan(**plan)


def test_words_that_no_way_has_are_refused() -> None:
    with pytest.raises(ValueError, match="only is 'nothing'; allowed: part of AR; block 32/8"):
        Bench(engine(FAST_DLLM_V2), SUITE, BenchPlan(only="nothing"))


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Engine, "load", lambda *_, **__: engine(FAST_DLLM_V2))
    monkeypatch.setattr(suite.Suite, "load", lambda _: SUITE)


@pytest.mark.usefixtures("tiny")
def test_the_command_writes_numbers_and_traces_and_prints_a_table(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--only", "8/8, block cache, 0.9", "--batch", "1,2", "--rounds", "1", "--limit", "1"]
    assert cli.main(["bench", *words, "--out", str(tmp_path / "mine.json")]) == 0
    out, err = capsys.readouterr()
    bench = Benchmark.load(tmp_path / "mine.json")
    assert (bench.suite.prompts, bench.rounds, len(bench.rows)) == (2, 1, 4)
    assert {path.name for path in (tmp_path / "mine").iterdir()} == {row.trace for row in bench.rows[:2]}
    lines = [[cell.strip() for cell in line.split("|")[1:3]] for line in out.splitlines() if "|" in line]
    assert lines[2:] == [[row.name, str(row.batch)] for row in bench.rows]
    assert "round 1 of 1, prompt 2 of 2" in err
    assert cli.main(["bench", *words]) == 0
    assert "| AR " in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--suite", "none.json"], "none.json"),
        (["--batch", "1,x"], "batches are [1, 0]; allowed"),
        (["--batch", "-4"], "batches are [0]; allowed"),
        (["--rounds", "-1"], "rounds is -1"),
        (["--suite", "cpu", "--rounds", "0"], "rounds is 0; allowed: 1 to 1000"),
        (["--suite", "cpu", "--only", "nothing"], "only is 'nothing'; allowed: part of AR"),
        (["--out", "/none/out.json"], "allowed: a file in a folder that exists"),
        (["--traces", "a"], "traces is 'a' without out; allowed: both"),
    ],
)
def test_the_command_says_what_is_wrong(words: Iterable[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["bench", *words]) == 2
    assert message in capsys.readouterr().err


@pytest.mark.usefixtures("tiny")
def test_rounds_0_compares_without_timing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "mine.json"
    assert cli.main(["bench", "--only", "8/8, block cache, 0.9", "--rounds", "0", "--out", str(out)]) == 0
    assert "tokens/s" not in capsys.readouterr().out
    found = Benchmark.load(out)
    assert (found.rounds, found.environment.warm_up) == (0, 0)
    assert {path.name for path in tmp_path.iterdir()} == {"mine.json"}
    timed = {
        row.name: row
        for row in last(engine(FAST_DLLM_V2), BenchPlan(only="8/8, block cache, 0.9", rounds=1)).benchmark.rows
    }
    assert [row.name for row in found.rows] == list(timed)
    for row in found.rows:
        assert row.batch == 16
        like = timed[row.name]
        assert row.model_copy(update={"batch": 1, "tps": like.tps, "seconds": like.seconds}) == like


def test_same_as_ar_is_the_share_of_answers_that_ar_writes() -> None:
    made = engine(FAST_DLLM_V2)
    ar = [run.canvas.output for run in decoded(made, ways(made.traits)["AR"])]
    for batches, rounds in (((1,), 1), ((2,), 1), ((2,), 0)):
        rows = last(made, BenchPlan(only="8/8, block cache, 0.5", batches=batches, rounds=rounds)).benchmark.rows
        assert rows[0].same_as_ar is None
        for row in rows[1:]:
            outputs = [run.canvas.output for run in decoded(made, Settings.from_json(row.settings))]
            assert row.same_as_ar is not None
            assert row.same_as_ar.value == pytest.approx(
                sum(a == b for a, b in zip(outputs, ar, strict=True)) / 3, abs=1e-4
            )


@pytest.mark.usefixtures("tiny")
def test_the_command_takes_a_folder_of_adapters(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    asked: list[Any] = []
    monkeypatch.setattr(Engine, "load", lambda *_, **options: asked.append(options["folder"]) or engine(FAST_DLLM_V2))
    assert cli.main(["bench", "--folder", str(tmp_path), "--only", "AR", "--rounds", "0", "--limit", "1"]) == 0
    assert asked == [tmp_path]


def test_verified_decoding_is_compared_with_ar() -> None:
    made = with_letters(hybrid_engine(echo=True))
    rows = {row.name: row for row in last(made, BenchPlan(only="verified, 2 drafts", rounds=1)).benchmark.rows}
    assert set(rows) == {"AR", "verified, 2 drafts"}
    assert rows["verified, 2 drafts"].same.value == 1
