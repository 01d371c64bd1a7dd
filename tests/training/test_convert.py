"""Training on a tiny net: it learns, and it resumes as if it had never stopped."""

import json
import random
import shutil
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file

from dllm.models.adapter import attach, merge
from dllm.models.families import LLAMA
from dllm.models.loader import Model, tiny
from dllm.training.config import BLOCK_WEIGHTS, Config
from dllm.training.convert import OBJECTIVES, Trainer
from dllm.training.corpus import CANVAS, Corpus
from dllm.training.documents import Document
from tests.dllm.nets import MASK, STOP, shape_of


def config(folder: Path, **changes: Any) -> Config:
    rng = random.Random(0)
    data = folder / "data.jsonl"
    with data.open("w") as file:
        for number in range(40):
            start = rng.randrange(10)
            answer = [(start + i) % 10 for i in range(rng.randrange(3, 50))]
            answer += [STOP] if number % 4 else [1] * CANVAS
            prompt = [rng.randrange(10) for _ in range(rng.randrange(1, 9))] + [number % 30, start]
            file.write(json.dumps({"batch": 0, "prompt_ids": prompt, "answer_ids": answer}) + "\n")
    base = Config(
        data=(str(data),), work=str(folder / "work"), out=str(folder / "adapter.safetensors"), rank=4, mask_id=MASK,
        steps=6, warm_up=2, learning_rate=0.02, held_out=6, save_every=3, measure_every=6, tails=0.3, sharpen=0.1,
        sharpen_from=3,
        exclude=(),
    )  # fmt: skip
    return replace(base, **changes)


def tiny_model() -> Model:
    return Model("tiny", LLAMA, tiny(shape_of(LLAMA, tied=True), seed=5), None, (STOP,), "00")


def trainer(settings: Config) -> Trainer:
    return Trainer(tiny_model(), settings)


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_a_resumed_run_equals_an_uninterrupted_one(tmp_path: Path, objective: str) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    whole = trainer(config(tmp_path / "a", objective=objective))
    log = list(whole.run())
    settings = config(tmp_path / "b", objective=objective)
    first = trainer(settings)
    run = iter(first.run())
    while first.step < 4:  # one step past the checkpoint at 3, which must count for nothing
        next(run)
    second = trainer(settings)
    assert second.step == 3
    again = list(second.run())
    keys = ("step", "loss", "accuracy", "sure", "sure_accuracy", "labels", "rate", "held_out")
    assert [[e.get(k) for k in keys] for e in again] == [[e.get(k) for k in keys] for e in log[3:]]
    for name, p in whole.parameters.items():
        assert torch.equal(p, second.parameters[name]), name
    written, again = load_file(whole.out), load_file(second.out)
    assert written.keys() == again.keys()
    assert all(torch.equal(written[name], again[name]) for name in written)


def test_workers_do_not_change_the_result(tmp_path: Path) -> None:
    alone, together = (
        trainer(config(tmp_path, packs=3, steps=2, workers=n, work=str(tmp_path / f"{n}"))) for n in (1, 3)
    )
    assert [e.get("loss") for e in alone.run()] == [e.get("loss") for e in together.run()]
    for name, p in alone.parameters.items():
        assert torch.equal(p, together.parameters[name]), name


@pytest.mark.skipif(shutil.which("g++") is None, reason="torch.compile needs a C++ compiler on a CPU")
@pytest.mark.filterwarnings("ignore")  # torch's compiler warns of what it does itself
def test_compiling_changes_nothing_but_rounding(tmp_path: Path) -> None:
    shape = replace(shape_of(LLAMA, tied=True), layers=1)  # every layer is compiled alike, which takes long
    plain, compiled = (
        Trainer(
            Model("tiny", LLAMA, tiny(shape, seed=5), None, (STOP,), "00"),
            config(tmp_path, work=str(tmp_path / name), compile=name == "compiled"),
        )
        for name in ("plain", "compiled")
    )
    for _ in range(2):  # the second step has other shapes
        a, b = plain._advance(0.01), compiled._advance(0.01)
        assert (a.labels, a.hits) == (b.labels, b.hits)
        assert a.loss == pytest.approx(b.loss, rel=1e-5)
    for name, p in plain.parameters.items():
        torch.testing.assert_close(p, compiled.parameters[name], rtol=1e-3, atol=1e-4)


def test_sharpening_begins_when_it_is_told_to(tmp_path: Path) -> None:
    never, late = (
        trainer(config(tmp_path, work=str(tmp_path / str(weight)), sharpen=weight, sharpen_from=2))
        for weight in (0.0, 1.0)
    )

    def apart() -> bool:
        for t in (never, late):
            t._advance(0.02)
        return any(not torch.equal(p, late.parameters[name]) for name, p in never.parameters.items())

    assert [apart() for _ in range(3)] == [False, False, True]


def test_it_learns(tmp_path: Path) -> None:
    t = trainer(config(tmp_path, steps=60, rows=8, measure_every=1000, save_every=1000))
    before = t.measure()
    last = list(t.run())[-1]["held_out"]
    assert set(before) == {"scattered", "tails"}
    for kind, size in product(before, BLOCK_WEIGHTS):
        then, now = before[kind][size], last[kind][size]
        assert now["loss"] < 0.7 * then["loss"], (kind, size)
        assert now["labels"] == then["labels"]


def test_a_twin_learns(tmp_path: Path) -> None:
    t = trainer(config(tmp_path, objective="ar", steps=60, rows=8, measure_every=1000, save_every=1000))
    before = t.measure()
    last = list(t.run())[-1]["held_out"]
    assert last["loss"] < 0.7 * before["loss"]
    assert last["accuracy"] > before["accuracy"] + 0.2
    assert last["labels"] == before["labels"]


def test_drafts_learn_behind_a_twin_and_go_on_from_an_adapter(tmp_path: Path) -> None:
    """As the default model is made: a twin, drafts beside it; and other drafts that start where these ended."""
    long = {"steps": 80, "rows": 8, "measure_every": 1000, "save_every": 1000, "sharpen": 0.0, "tails": 0.0}
    first = {"objective": "ar", "out": str(tmp_path / "twin.safetensors"), "work": str(tmp_path / "ar")}
    list(trainer(config(tmp_path, **first, **long)).run())
    drafts = {"objective": "drafts", "twin": first["out"], "rank": 4}
    t = trainer(config(tmp_path, **drafts, **long))
    before = t.measure()
    last = list(t.run())[-1]["held_out"]
    assert last["accuracy"][0] > before["accuracy"][0] + 0.2
    assert last["verified"]["2"] > before["verified"]["2"] + 0.2
    twin = merge(tiny_model(), tmp_path / "twin.safetensors")
    beside = attach(twin, t.out)
    assert (beside.mask_id, beside.spec.attentions) == (MASK, ("hybrid",))
    with pytest.raises(ValueError, match="was made for weights"):
        attach(tiny_model(), t.out)
    again = trainer(config(tmp_path, **drafts, start=str(t.out), work=str(tmp_path / "again")))
    for name, p in again.parameters.items():
        assert torch.equal(p, t.parameters[name].bfloat16().float()), name  # as the file holds them
    wide = trainer(config(tmp_path, **{**drafts, "rank": 5}, start=str(t.out), work=str(tmp_path / "wide")))
    for name, p in wide.parameters.items():
        if name.endswith((".a", ".b")):  # one rank more, which adds nothing yet
            own, more = (p[:4], p[4:]) if name.endswith(".a") else (p[:, :4], p[:, 4:])
            assert torch.equal(own, again.parameters[name])
            assert (more == 0).all() == name.endswith(".b")
    with pytest.raises(ValueError, match=r"has no layers\.0\.q\.a of \(3, 16\); allowed: an adapter of this shape"):
        trainer(config(tmp_path, **{**drafts, "rank": 3}, start=str(t.out), work=str(tmp_path / "narrow")))


def test_an_adapter_says_what_it_may_be_decoded_under(tmp_path: Path) -> None:
    for objective, changes, attentions in (
        ("ar", {}, ["block_causal"]),
        ("drafts", {}, ["hybrid"]),
        ("blocks", {}, ["block_causal", "bidirectional"]),
        ("blocks", {"blocks": {"full": 1.0}}, ["bidirectional"]),
    ):
        out = tmp_path / f"{objective}{len(changes)}.safetensors"
        more = {"work": str(tmp_path / out.stem), "out": str(out), "steps": 1, "measure_every": 9, **changes}
        t = trainer(config(tmp_path, objective=objective, **more))
        t._advance(0.01)
        t.save()
        with safe_open(out, framework="pt") as file:
            metadata = file.metadata()
        assert json.loads(metadata["attentions"]) == attentions
        assert ("mask_id" in metadata) == (objective != "ar")


def test_layers_below_the_first_keep_the_bases_weights(tmp_path: Path) -> None:
    for objective in ("blocks", "drafts"):
        t = trainer(config(tmp_path, objective=objective, first_layer=1, work=str(tmp_path / objective)))
        assert {name.split(".")[1] for name in t.parameters if name != "mask_vector"} == {"1"}


def test_only_the_adapter_changes(tmp_path: Path) -> None:
    t = trainer(config(tmp_path, steps=2))
    trained = {id(p) for p in t.parameters.values()}
    frozen = {n: p.clone() for n, p in t.model.net.named_parameters() if id(p) not in trained}
    list(t.run())
    now = dict(t.model.net.named_parameters())
    assert all(torch.equal(now[n], p) for n, p in frozen.items())
    assert not any(torch.equal(p, torch.zeros_like(p)) for p in t.parameters.values())


def test_a_checkpoint_of_another_rank_is_refused(tmp_path: Path) -> None:
    list(trainer(config(tmp_path, steps=1)).run())
    with pytest.raises(ValueError, match="the config asks for"):
        trainer(config(tmp_path, steps=1, rank=2))


def test_examples_are_aligned_to_absolute_blocks(tmp_path: Path) -> None:
    corpus = Corpus(config(tmp_path), stop_id=STOP)
    document = Document(0, (1, 2, 3), (4, 5, 6, STOP))
    e = corpus.example(document, "4")
    assert (e.ids, e.block) == ((1, 2, 3, 4, 5, 6, STOP, STOP), 4)
    assert e.labelled == (False,) * 3 + (True,) * 5
    whole = corpus.example(document, "full")
    assert (len(whole.ids), whole.block) == (CANVAS, CANVAS)
    cut = corpus.example(Document(0, (1, 2, 3), (4, 5, 6)), "4")
    assert cut.ids == (1, 2, 3, 4)


def test_an_epoch_meets_every_document_once_and_none_held_out(tmp_path: Path) -> None:
    corpus = Corpus(config(tmp_path, rows=2), stop_id=STOP)
    assert len(corpus.held_out) == 6
    assert len(corpus.documents) == 34
    met = [d for number in range(17) for d in corpus.micro_batch(number)]
    assert {d.prompt_ids for d in met} == {d.prompt_ids for d in corpus.documents}
    assert len(met) == 34
    assert corpus.micro_batch(17) != corpus.micro_batch(0)
    assert not {d.prompt_ids for d in met} & {d.prompt_ids for d in corpus.held_out}


def test_what_an_evaluation_asks_is_not_trained_on(tmp_path: Path) -> None:
    settings = config(tmp_path)
    everything = Corpus(settings, stop_id=STOP)
    asked = {d.prompt_ids for d in (*everything.documents[:3], everything.held_out[0])}
    corpus = Corpus(settings, stop_id=STOP, excluded=asked)
    left = {d.prompt_ids for d in (*corpus.documents, *corpus.held_out)}
    assert left == {d.prompt_ids for d in (*everything.documents, *everything.held_out)} - asked


def test_a_suite_is_not_excluded_without_a_tokenizer(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="exclude names 'default'"):
        trainer(config(tmp_path, exclude=("default",)))


def test_too_little_data_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="40 documents"):
        Corpus(config(tmp_path, held_out=37), stop_id=STOP)


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"rank": 0}, "rank is 0; allowed: greater than or equal to 1"),
        ({"rank": "many"}, "rank is 'many'; allowed: a valid integer"),
        ({"learning_rate": -1.0}, "learning_rate is -1.0; allowed: greater than 0"),
        ({"blocks": {"half": 1.0}}, "a name in blocks is 'half'; allowed: whole numbers above 0, 'full'$"),
        ({"blocks": {"4": -1.0}}, "blocks.4 is -1.0; allowed: greater than or equal to 0"),
        ({"blocks": {"4": 0.0}}, "blocks is {'4': 0.0}; allowed: at least one weight above 0"),
        ({"data": ()}, r"data is \[\]; allowed: .* at least 1 item"),
        ({"tails": 1.5}, "tails is 1.5"),
        ({"sharpen": -1.0}, "sharpen is -1.0"),
        ({"sharpen": float("nan")}, "sharpen is nan"),
        ({"objective": "mlm"}, "objective is 'mlm'; allowed: 'blocks', 'ar' or 'drafts'"),
        ({"groups": {"full": 1.0}}, "a name in groups is 'full'; allowed: whole numbers above 0$"),
        ({"groups": {"0": 1.0}}, "a name in groups is '0'"),
        ({"groups": {"2": -1.0}}, "groups.2 is -1.0"),
        ({"groups": {}}, "groups is {}; allowed: at least one weight above 0"),
        ({"places": 0}, "places is 0; allowed: greater than or equal to 1"),
        ({"first_layer": -1}, "first_layer is -1; allowed: greater than or equal to 0"),
    ],
)
def test_a_bad_config_is_refused(tmp_path: Path, change: dict, what: str) -> None:
    path = tmp_path / "c.json"
    path.write_text(json.dumps({"data": ["d"], "work": "w", "out": "o", **change}))
    with pytest.raises(ValueError, match=what) as caught:
        Config.load(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)
    with pytest.raises(ValueError, match=next(iter(change))):
        config(tmp_path, **change)


def test_config_files(tmp_path: Path) -> None:
    (tmp_path / "c.json").write_text('{"data": ["d"], "work": "w", "out": "o", "exclude": [], "blocks": {"8": 1.0}}')
    (tmp_path / "c.toml").write_text('data = ["d"]\nwork = "w"\nout = "o"\nexclude = []\n[blocks]\n8 = 1.0\n')
    want = Config(data=("d",), work="w", out="o", exclude=(), blocks={"8": 1.0})
    assert Config.load(tmp_path / "c.json") == Config.load(tmp_path / "c.toml") == want
    (tmp_path / "u.json").write_text('{"data": ["d"], "work": "w", "out": "o", "speed": 1}')
    with pytest.raises(ValueError, match="has 'speed'"):
        Config.load(tmp_path / "u.json")
    (tmp_path / "m.json").write_text('{"data": ["d"], "work": "w"}')
    with pytest.raises(ValueError, match="has no 'out'"):
        Config.load(tmp_path / "m.json")
    with pytest.raises(ValueError, match=r"allowed: a \.json or \.toml"):
        Config.load(tmp_path / "c.yaml")


def test_the_shipped_config_is_readable() -> None:
    assets = Path(__file__).parents[2] / "assets/models"
    files = sorted(p for name in ("twin", "drafts", "full") for p in assets.glob(f"*/{name}.json"))
    assert files
    for file in files:
        assert Config.load(file).mask_id == 16
