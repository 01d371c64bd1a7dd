"""The headless commands, as another program calls them."""

import io
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dllm.cli.main import main
from dllm.engine import Engine
from dllm.engine.engine import ForwardOptions
from dllm.engine.registry import MODELS
from dllm.trace import Trace
from dllm.trace.attention import Maps
from dllm.trace.drift import Drift
from tests.goldens_io import GOLDENS

V2 = str(GOLDENS / "fast_dllm_v2_a")


def decode(tmp_path: Path, *lines: object, model: str = V2) -> tuple[int, list[dict]]:
    requests, out = tmp_path / "requests.jsonl", tmp_path / "out.jsonl"
    requests.write_text("\n".join(line if isinstance(line, str) else json.dumps(line) for line in lines) + "\n\n")
    code = main(["decode", "--model", model, "--requests", str(requests), "--out", str(out), "--device", "cpu"])
    return code, [json.loads(line) for line in out.read_text().splitlines()]


def test_one_bad_request_never_stops_the_others(tmp_path: Path) -> None:
    code, results = decode(
        tmp_path,
        {"id": "first", "prompt_ids": [1, 2, 3], "gen_length": 6, "block_size": 4},
        "{not json",
        "[1]",
        {"id": "text", "prompt": "hello"},
        {"id": "none"},
        {"id": "both", "prompt": "a", "prompt_ids": [1]},
        {"id": "kind", "prompt_ids": "1 2 3"},
        {"id": "sub", "prompt_ids": [1], "block_size": 8, "sub_block_size": 3},
        {"id": 7, "prompt_ids": [4, 5], "gen_length": 3, "block_size": 1},
    )
    assert code == 1
    assert [r["id"] for r in results] == ["first", None, None, "text", "none", "both", "kind", "sub", 7]
    assert ["trace" in r for r in results] == [True, *[False] * 7, True]
    errors = [r["error"] for r in results if "error" in r]
    for error, part in zip(
        errors,
        [
            "not JSON",
            "a JSON object",
            "no tokenizer",
            "no prompt",
            "prompt and prompt_ids",
            "list of token ids",
            "divisor",
        ],
        strict=True,
    ):
        assert part in error
    for result in (results[0], results[-1]):
        trace = Trace.from_json(json.dumps(result["trace"]))
        assert trace.stop_reason in ("length", "eos")
        assert trace.environment.warm_up > 0
        assert trace.settings["cache"] == {"name": "sub_block" if result["id"] == "first" else "block"}


LINES = (
    b'{"id": "bad", "prompt_ids": [1], "note": "\xff"}',
    b"[" * 5000,
    b'{"id": "deep", "prompt_ids": ' + b"[" * 5000 + b"]" * 5000 + b"}",
    b'{"id": "good", "prompt_ids": [1], "gen_length": 1}',
)


def standard_input(monkeypatch: pytest.MonkeyPatch, data: bytes) -> None:
    """As Python opens it where the locale's encoding is UTF-8: a byte that is none raises."""
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(data), encoding="utf-8", errors="strict"))


@pytest.mark.parametrize("source", ["file", "-"])
def test_bytes_that_are_no_text_spoil_one_line_only(
    source: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    requests, out = tmp_path / "requests.jsonl", tmp_path / "out.jsonl"
    requests.write_bytes(b"\n".join(LINES))
    standard_input(monkeypatch, requests.read_bytes())
    asked = str(requests) if source == "file" else "-"
    assert main(["decode", "--model", V2, "--requests", asked, "--out", str(out)]) == 1
    results = [json.loads(line) for line in out.read_text().splitlines()]
    assert [(r["id"], r.get("error")) for r in results] == [
        ("bad", "the request holds the byte 0xff, which is not UTF-8; allowed: JSON in UTF-8"),
        (None, "the request is nested too deeply; allowed: a JSON object of settings"),
        (None, "the request is nested too deeply; allowed: a JSON object of settings"),
        ("good", None),
    ]


def test_what_is_recorded(tmp_path: Path) -> None:
    request = {"id": "../a b", "prompt_ids": [1, 2], "gen_length": 4, "block_size": 4}
    code, results = decode(tmp_path, request | {"record": ["alternatives", "rollout", "attention"]}, request)
    assert code == 0
    full, bare = (r["trace"]["steps"] for r in results)
    assert "alternatives" not in bare[0]
    assert "rollout" not in bare[0]
    for step in full:
        assert [row[0][0] for row in step["alternatives"]] == step["tokens"]
        assert sum(step["rollout"]) == pytest.approx(step["visible"], abs=1e-3)
    maps = Maps.open(tmp_path / "out.jsonl.attention" / ".._a_b.npz")
    maps.check(Trace.from_json(json.dumps(results[0]["trace"])))
    assert maps.steps == list(range(len(full)))
    step = full[-1]
    queries = sum(b - a for a, b in step["queries"])
    assert maps.layer(step["index"], 3).shape == (4, queries, step["visible"])


def test_traces_go_to_files_of_their_own(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    requests, folder = tmp_path / "requests.jsonl", tmp_path / "traces"
    request = {"prompt_ids": [1, 2], "gen_length": 4, "block_size": 4}
    lines = [
        {**request, "id": "../a b", "record": ["attention"]},
        {**request, "id": "plain"},
        {**request, "id": ".._a_b"},
        {"id": "bad"},
    ]
    requests.write_text("\n".join(map(json.dumps, lines)))
    args = ["decode", "--model", V2, "--requests", str(requests), "--traces", str(folder), "--device", "cpu"]
    assert main(args) == 1
    assert {path.name for path in folder.iterdir()} == {".._a_b.json.gz", ".._a_b.attention.npz", "plain.json.gz"}
    Maps.open(folder / ".._a_b.attention.npz").check(Trace.load(folder / ".._a_b.json.gz"))
    printed = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [set(result) for result in printed] == [{"id", "error"}] * 2
    assert "no earlier request has" in printed[0]["error"]
    assert "no prompt" in printed[1]["error"]
    assert main([*args, "--out", "-"]) == 1
    printed = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert ["trace" in result for result in printed] == [True, True, False, False]
    assert Trace.load(folder / "plain.json.gz") == Trace.from_json(json.dumps(printed[1]["trace"]))


def test_drift_lies_beside_its_trace(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    request = {"prompt_ids": [1, 2, 3], "gen_length": 12, "block_size": 8, "sub_block_size": 2, "stop_ids": []}
    _, results = decode(tmp_path, request | {"cache": "sub_block"})
    trace = Trace.from_json(json.dumps(results[0]["trace"]))
    trace.save(tmp_path / "a.b.json.gz")
    assert main(["drift", str(tmp_path / "a.b.json.gz"), "--model", V2, "--device", "cpu"]) == 0
    drift = Drift.load(tmp_path / "a.b.drift.npz")
    drift.check(trace)
    said = capsys.readouterr()
    means = [np.nanmean(step.astype(float)) for step in drift.keys]
    assert f"at most {max(means):.4f}, in step {np.argmax(means) + 1} of {len(trace.steps)};" in said.out
    committed = sum(change.committed for change in drift.changed)
    assert f"{len(drift.changed)} best tokens changed, {committed} of them committed" in said.out
    assert f"step {len(trace.steps)} of {len(trace.steps)}" in said.err


def test_drift_of_another_model_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _, results = decode(tmp_path, {"prompt_ids": [1, 2], "gen_length": 2, "block_size": 2})
    place = tmp_path / "trace.json"
    place.write_text(json.dumps(results[0]["trace"]))
    other = str(GOLDENS / "fast_dllm_v2_b")
    assert main(["drift", str(place), "--model", other, "--device", "cpu"]) == 2
    said = capsys.readouterr().err
    assert results[0]["trace"]["model"]["sha256"] in said
    assert other.rpartition("/")[2] in said
    assert main(["drift", str(place), "--model", V2, "--out", str(tmp_path / "no" / "x.npz")]) == 2
    assert "a folder that exists" in capsys.readouterr().err


def test_standard_streams(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO('{"prompt_ids": [1, 2], "gen_length": 2, "block_size": 2}\n'))
    assert main(["decode", "--model", V2]) == 0
    assert json.loads(capsys.readouterr().out)["trace"]["prompt"] == [1, 2]


@pytest.fixture
def requests(tmp_path: Path) -> Path:
    path = tmp_path / "requests.jsonl"
    path.write_text(json.dumps({"id": "a", "prompt_ids": [1], "gen_length": 1}) + "\n")
    return path


@pytest.mark.parametrize("link", ["itself", "soft", "hard"])
def test_requests_are_not_overwritten_by_their_answers(
    link: str, requests: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    place, before = tmp_path / link, requests.read_text()
    if link == "soft":
        place.symlink_to(requests)
    elif link == "hard":
        place.hardlink_to(requests)
    else:
        place = requests
    assert main(["decode", "--model", V2, "--requests", str(requests), "--out", str(place)]) == 2
    said = capsys.readouterr().err
    assert f"out is '{place}', the same file as requests '{requests}'; allowed: another file" in said
    assert requests.read_text() == before


def test_traces_overwrite_neither_the_requests_nor_the_answers(tmp_path: Path) -> None:
    requests, out = tmp_path / "a.json.gz", tmp_path / "c.json.gz"
    lines = [{"id": name, "prompt_ids": [1], "gen_length": 1} for name in ("a", "b", "c", "d")]
    before = "\n".join(map(json.dumps, lines))
    requests.write_text(before)
    (tmp_path / "d.json.gz").symlink_to(requests)
    args = ["decode", "--model", V2, "--requests", str(requests), "--traces", str(tmp_path), "--out", str(out)]
    assert main(args) == 1
    assert requests.read_text() == before
    results = [json.loads(line) for line in out.read_text().splitlines()]
    assert [result.get("error", "") for result in results] == [
        f"id is 'a'; allowed: one whose file is not '{requests}', which is read or written already",
        "",
        f"id is 'c'; allowed: one whose file is not '{out}', which is read or written already",
        f"id is 'd'; allowed: one whose file is not '{requests}', which is read or written already",
    ]
    assert Trace.load(tmp_path / "b.json.gz")


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["--batch", "0"], "batch is 0; allowed: 1 or more"),
        (["--threads", "0"], "threads is 0; allowed: 1 or more"),
        (["--traces", "old.jsonl"], "traces is 'old.jsonl'; allowed: a folder"),
        (["--model", "nowhere"], "model is 'nowhere'"),
    ],
)
def test_what_is_refused_leaves_the_old_answers(
    args: list[str],
    message: str,
    requests: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(requests.parent)
    old = Path("old.jsonl")
    old.write_text("old")
    assert main(["decode", "--model", V2, "--requests", str(requests), "--out", "old.jsonl", *args]) == 2
    assert message in capsys.readouterr().err
    assert old.read_text() == "old"


@pytest.mark.parametrize("place", [".", "none/x.jsonl"])
def test_answers_go_to_a_file_in_a_folder(
    place: str, requests: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(requests.parent)
    assert main(["decode", "--model", "never loaded", "--requests", str(requests), "--out", place]) == 2
    assert f"out is '{place}'; allowed: a file in a folder that exists" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("error", "kept"), [(KeyboardInterrupt(), ["a"]), (MemoryError(), "old"), (SystemExit(3), "old")]
)
def test_answers_are_there_when_all_are_or_when_one_stops_it(
    error: BaseException, kept: list[str] | str, tmp_path: Path, requests: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A killed process moves nothing, as after any other exception."""
    out = tmp_path / "out.jsonl"
    out.write_text("old")

    def lines(*args: Any, **kwargs: Any) -> Iterator[dict[str, Any]]:
        yield {"id": "a"}
        assert out.read_text() == "old"
        raise error

    monkeypatch.setattr("dllm.engine.requests.answer_requests", lines)
    args = ["decode", "--model", V2, "--requests", str(requests), "--out", str(out)]
    if isinstance(error, KeyboardInterrupt):
        assert main(args) == 130
    else:
        with pytest.raises(type(error)):
            main(args)
    found = out.read_text()
    assert (found if kept == "old" else [json.loads(line)["id"] for line in found.splitlines()]) == kept
    assert {path.name for path in tmp_path.iterdir()} == {"out.jsonl", "requests.jsonl"}


def test_a_reader_that_has_seen_enough_ends_a_command_quietly() -> None:
    command = [sys.executable, "-m", "dllm", "models", "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout
        assert process.stderr
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 141


@pytest.mark.parametrize("link", ["itself", "soft", "hard", "attention"])
def test_a_trace_is_not_overwritten_by_its_drift(link: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _, (result,) = decode(tmp_path, {"prompt_ids": [1, 2], "gen_length": 2, "block_size": 2})
    trace, place = tmp_path / "a.json", tmp_path / "link"
    trace.write_text(json.dumps(result["trace"]))
    before = trace.read_bytes()
    if link == "soft":
        place.symlink_to(trace)
    elif link == "hard":
        place.hardlink_to(trace)
    elif link == "attention":
        place = tmp_path / "a.attention.npz"
        place.write_bytes(b"maps")
    else:
        place = trace
    assert main(["drift", str(trace), "--model", V2, "--out", str(place)]) == 2
    assert f"out is '{place}', the same file as" in capsys.readouterr().err
    assert trace.read_bytes() == before
    assert link != "attention" or place.read_bytes() == b"maps"


@pytest.mark.parametrize("place", [".", "none/x.json", "suite.json"])
def test_a_benchmark_overwrites_nothing(
    place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("suite.json").write_text("{}")
    assert main(["bench", "--suite", "suite.json", "--only", "0.9", "--out", place]) == 2
    allowed = "a file in a folder that exists" if place != "suite.json" else "another file"
    assert re.search(rf"out is '{place}'.*; allowed: {allowed}$", capsys.readouterr().err.strip())
    assert Path("suite.json").read_text() == "{}"


@pytest.mark.parametrize("command", ["distill", "convert"])
def test_training_overwrites_nothing_that_it_reads(
    command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("data.jsonl").write_text("old")
    Path("link").hardlink_to("data.jsonl")
    Path("c.json").write_text(json.dumps({"data": ["data.jsonl"], "work": "work", "out": "link"}))
    asked = {
        "distill": ["--kind", "answers", "--prompts", "data.jsonl", "--out", "link"],
        "convert": ["--config", "c.json"],
    }
    assert main([command, *asked[command]]) == 2
    assert re.search(r"out is 'link', the same file as (prompts|data)\[0\] 'data.jsonl'", capsys.readouterr().err)
    assert Path("data.jsonl").read_text() == "old"


def test_attention_needs_a_place(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO('{"prompt_ids": [1], "record": ["attention"]}\n'))
    assert main(["decode", "--model", V2]) == 1
    assert "side file" in json.loads(capsys.readouterr().out)["error"]


def test_models_lists_what_can_be_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models"]) == 0
    out = capsys.readouterr().out
    assert all(f"\n{name} " in out for name in MODELS)
    assert max(map(len, out.splitlines())) <= 120
    facts = r"LLaDA-8B-Instruct +8\.02 B +16\.0 GB \+ 524 MB  MIT, 08b83a6f\n +llada, bidirectional, mask 126336\n"
    assert re.search(facts, out)
    assert main(["models", "--json"]) == 0
    listed = json.loads(capsys.readouterr().out)
    assert list(listed) == list(MODELS)
    assert listed["default"]["parameters"] == 134515008
    assert listed["GSAI-ML/LLaDA-1.5"]["memory"] == {"weights": 2 * 8015581184, "cache": 2 * 2 * 32 * 4096 * 1000}


def test_validate(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _, results = decode(tmp_path, {"prompt_ids": [1, 2], "gen_length": 2, "block_size": 2})
    good, bad = tmp_path / "good.json", tmp_path / "bad.json"
    good.write_text(json.dumps(results[0]["trace"]))
    bad.write_text('{"schema": "other"}')
    assert main(["validate", str(good)]) == 0
    assert "ok, " in capsys.readouterr().out
    assert main(["validate", str(good), str(bad), str(tmp_path / "none.json")]) == 1
    assert "bad.json: not a valid trace: schema" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["--model", "nowhere"], "model is 'nowhere'; allowed: a folder"),
        (["--model", V2, "--device", "tpu"], "device is 'tpu'; allowed: cpu"),
        (["--model", V2, "--dtype", "int3"], "dtype is 'int3'; allowed: float32"),
        (["--model", V2, "--requests", "missing.jsonl"], "missing.jsonl"),
    ],
)
def test_wrong_use_is_named(args: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["decode", *args]) == 2
    assert message in capsys.readouterr().err


def test_an_autoregressive_model_needs_no_block_size(tmp_path: Path) -> None:
    model = tmp_path / "model"
    model.mkdir()
    config = json.loads((GOLDENS / "fast_dllm_v2_a" / "config.json").read_text()) | {"model_type": "qwen2"}
    del config["mask_token_id"]
    (model / "config.json").write_text(json.dumps(config))
    (model / "model.safetensors").symlink_to(GOLDENS / "fast_dllm_v2_a" / "model.safetensors")
    code, results = decode(
        tmp_path,
        {"prompt_ids": [1, 2], "gen_length": 3, "stop_ids": []},
        {"prompt_ids": [1, 2], "block_size": 2},
        model=str(model),
    )
    assert code == 1
    assert [s["kind"] for s in results[0]["trace"]["steps"]] == ["prefill", "ar", "ar"]
    assert "because qwen2 is autoregressive" in results[1]["error"]


def test_a_family_id_outside_a_small_vocabulary_never_stops(tmp_path: Path) -> None:
    model = tmp_path / "model"
    model.mkdir()
    config = json.loads((GOLDENS / "fast_dllm_v2_a" / "config.json").read_text())
    del config["eos_token_id"]
    (model / "config.json").write_text(json.dumps(config))
    (model / "model.safetensors").symlink_to(GOLDENS / "fast_dllm_v2_a" / "model.safetensors")
    code, results = decode(tmp_path, {"prompt_ids": [1, 2], "gen_length": 3, "block_size": 4}, model=str(model))
    assert code == 0
    assert results[0]["trace"]["settings"]["stop_ids"] == []
    del config["mask_token_id"]
    (model / "config.json").write_text(json.dumps(config))
    assert main(["decode", "--model", str(model), "--requests", "-"]) == 2


def test_answers_of_traces_are_held_against_exact_decoders(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    requests = tmp_path / "requests.jsonl"
    lines = [{"id": name, "prompt_ids": [1, 2, 3], "gen_length": 9, "block_size": 8, "sub_block_size": 4, "cache": name}
             for name in ("block", "sub_block")]  # fmt: skip
    requests.write_text("\n".join(map(json.dumps, lines)))
    main(["decode", "--model", V2, "--requests", str(requests), "--traces", str(tmp_path), "--device", "cpu"])
    paths = [tmp_path / f"{name}.json.gz" for name in ("block", "sub_block")]
    before = [Trace.load(path) for path in paths]
    assert main(["judge", *map(str, paths), "--model", V2, "--device", "cpu"]) == 0
    told = capsys.readouterr().out
    for path, old in zip(paths, before, strict=True):
        new = Trace.load(path)
        assert new.gate
        assert set(new.gate.references) == {"no_cache", "one_by_one"}
        assert new.model_copy(update={"gate": None, "pieces": old.pieces}) == old
        assert str(path) in told
    assert Trace.load(paths[0]).gate.references["no_cache"] == before[0].output  # type: ignore[union-attr]


def test_only_traces_of_one_dtype_are_judged_together(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _, (result,) = decode(tmp_path, {"id": "a", "prompt_ids": [1], "gen_length": 2, "block_size": 2})
    for dtype in ("float32", "bfloat16"):
        trace = {**result["trace"], "model": {**result["trace"]["model"], "dtype": dtype}}
        (tmp_path / f"{dtype}.json").write_text(json.dumps(trace))
    paths = [str(tmp_path / f"{dtype}.json") for dtype in ("float32", "bfloat16")]
    assert main(["judge", *paths, "--model", V2]) == 2
    assert "the traces are in bfloat16 and float32; allowed: one dtype at a time" in capsys.readouterr().err


def test_attention_can_be_chosen_and_changes_no_token(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    requests, out = tmp_path / "requests.jsonl", tmp_path / "out.jsonl"
    requests.write_text(json.dumps({"id": 1, "prompt_ids": [1, 2, 3], "gen_length": 12, "block_size": 4}))
    asked = ["decode", "--model", V2, "--requests", str(requests), "--out", str(out), "--device", "cpu", "--no-graphs"]
    found = {}
    for attention in ("eager", "sdpa"):
        assert main([*asked, "--attention", attention]) == 0
        found[attention] = Trace.from_json(json.dumps(json.loads(out.read_text())["trace"]))
        assert (found[attention].environment.attention, found[attention].environment.graphs) == (attention, False)
    assert found["eager"].output == found["sdpa"].output
    assert main([*asked, "--attention", "flash"]) == 2
    assert "attention is 'flash', but flash kernels need a CUDA device" in capsys.readouterr().err


def test_graphs_need_a_device_that_has_them() -> None:
    with pytest.raises(ValueError, match="graphs are asked for on cpu; allowed: on a CUDA device"):
        Engine.load(V2, device="cpu", options=ForwardOptions(graphs=True))
