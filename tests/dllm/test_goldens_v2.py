"""Equality with Fast-dLLM v2's published `generate`, run by run and pass by pass."""

import pytest
import torch
from safetensors.torch import load_file

from dllm.models.kv_cache import KVCache
from dllm.models.sampling import Sampler, nucleus
from dllm.models.transformer import rope_table
from dllm.settings import Choice, Settings
from dllm.step import Plan
from tests.goldens_io import GOLDENS, engine, golden

# the ids behind logits.safetensors' prefill
PREFIX = [165, 92, 71, 46, 83, 117, 47, 59, 8, 121, 38, 71, 138, 47, 82, 0, 136, 22, 73, 28, 146, 0, 35, 61, 188, 128,
          13, 127, 100, 8, 91, 10]  # fmt: skip


@pytest.mark.parametrize("net", ["a", "b"])
@pytest.mark.parametrize("stopping", [False, True])
def test_every_published_run(net: str, stopping: bool) -> None:
    runs = golden("fast_dllm_v2")[f"generate{'_eos' if stopping else ''}_{net}"]
    assert len(runs) == (112 if stopping else 288)
    compared = 0
    for number, run in enumerate(runs):
        p, prompt = run["params"], run["prompt"]
        if len(prompt) == p["block_size"]:
            continue  # the published code drops such a prompt
        blocks = len(prompt) // p["block_size"] + p["max_new_tokens"] // p["block_size"]
        settings = Settings(
            gen_length=blocks * p["block_size"] - len(prompt),
            block_size=p["block_size"],
            sub_block_size=p["small_block_size"],
            cache=Choice("sub_block" if p["use_block_cache"] else "block"),
            unmask=Choice("threshold", {"threshold": p["threshold"]}),
            stop_ids=(p["stop_token"],) if stopping else (),
        )
        ours = engine(f"fast_dllm_v2_{net}").run(prompt, settings)
        passes = sum(1 for _ in ours)
        output = ours.canvas.output
        ended = ours.canvas.stop_reason == "length"
        assert output == run["output"][: len(output)], f"run {number}: {p}"
        assert len(output) == len(run["output"]) - ended, f"run {number}: {p}"
        assert passes == run["nfe"] - ended, f"run {number}: {p}"  # ours ends without the last commit
        compared += 1
    assert compared >= len(runs) * 0.9


@pytest.mark.parametrize("net", ["a", "b"])
def test_logits_of_every_kind_of_pass(net: str) -> None:
    want = load_file(GOLDENS / f"fast_dllm_v2_{net}" / "logits.safetensors")
    transformer = engine(f"fast_dllm_v2_{net}").model.net
    rope = rope_table(transformer.shape, 40, torch.device("cpu"))
    cache = KVCache.empty(transformer.shape, 40, batch=1, dtype=torch.float32, device=torch.device("cpu"))

    def logits(ids: list[int], start: int, visible: int, block: int | None = None) -> torch.Tensor:
        at = slice(start, start + len(ids))
        q, k = torch.arange(start, start + len(ids)).unsqueeze(1), torch.arange(visible)
        mask = None if block is None else q // block >= k // block
        return transformer.head(
            transformer(torch.tensor([ids]), rope[:, at], mask=mask, cache=cache, at=at, visible=visible)
        )

    close = {"rtol": 0, "atol": 1e-4}
    for block in (16, 32):  # their first 32 rows see these ids only
        torch.testing.assert_close(logits(PREFIX, 0, 32, block), want[f"prefill40_bs{block}"][:, :32], **close)
    torch.testing.assert_close(logits(PREFIX, 0, 32, 8), want["prefill32_bs8"], **close)
    block_ids, sub_ids, commit_ids = (want[k][0].tolist() for k in ("block_ids", "sub_ids", "commit_ids"))
    torch.testing.assert_close(logits(block_ids, 32, 40), want["denoise_full_past32"], **close)
    torch.testing.assert_close(logits(block_ids, 32, 40), want["denoise_full_cache_past32"], **close)
    torch.testing.assert_close(logits(sub_ids, 36, 40), want["denoise_sub_past32_rp4"], **close)
    torch.testing.assert_close(cache.keys[:, :, :, 32:40], want["block_kv_after_sub_k"], **close)
    torch.testing.assert_close(cache.values[:, :, :, 32:40], want["block_kv_after_sub_v"], **close)
    torch.testing.assert_close(logits(commit_ids, 32, 40), want["commit_past32"], **close)
    torch.testing.assert_close(cache.keys, want["past_k_after_commit"], **close)
    probs = nucleus((want["denoise_full_past32"][0] / 0.7).softmax(-1), 0.9)
    torch.testing.assert_close(probs, want["nucleus_T0.7_p0.9_probs"][0], **close)


def test_the_runner_masks_only_where_a_block_is_crossed() -> None:
    session = engine("fast_dllm_v2_a").runner().session(40, block_size=8, shift=1, sampler=Sampler(199))
    assert session.mask(Plan(range(32, 40), (0,) * 8, 40, (), "denoise")) is None
    mask = session.mask(Plan(range(16), (0,) * 16, 16, (), "prefill"))
    assert mask is not None
    assert mask[:8, 8:].sum() == 0
    assert mask[8:].all()
