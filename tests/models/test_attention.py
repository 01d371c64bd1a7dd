"""The kernels answer alike, and the resolver chooses among them; CUDA and the flash packages are stand-ins here."""

import sys
from collections.abc import Callable
from importlib import metadata
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from dllm.models.attention import AttentionMask, attention_with_probs, choose_attention, eager, flash2, flash4, sdpa
from dllm.models.families import LLADA
from tests.dllm.nets import engine_of

CPU, CUDA = torch.device("cpu"), torch.device("cuda", 0)
BF16, FP32 = torch.bfloat16, torch.float32


def by_definition(q: Tensor, k: Tensor, v: Tensor, counts: list[int], rows: list[int]) -> Tensor:
    """Attention of every head to the first so many entries of a row, one query at a time, in fp64."""
    out, group = torch.zeros(q.shape, dtype=torch.double), q.shape[1] // k.shape[1]
    for b in range(q.shape[0]):
        for h in range(q.shape[1]):
            keys, values = (t[rows[b], h // group, : counts[b]].double() for t in (k, v))
            for n in range(q.shape[2]):
                out[b, h, n] = (keys @ q[b, h, n].double() / q.shape[3] ** 0.5).softmax(0) @ values
    return out


def flash_with_kvcache(
    q: Tensor,
    k_cache: Tensor,
    v_cache: Tensor,
    k: Tensor | None = None,
    v: Tensor | None = None,
    *,
    cache_seqlens: Tensor | None = None,
    cache_batch_idx: Tensor | None = None,
    causal: bool = False,
) -> Tensor:
    """flash-attn 2.8's function of this name by its documentation, for what is used of it. (batch, n, heads, d)"""
    assert (k, v, causal) == (None, None, False)
    assert {q.stride(-1), k_cache.stride(-1), v_cache.stride(-1)} == {1}
    for numbers in (cache_seqlens, cache_batch_idx):
        assert numbers is None or (numbers.dtype, numbers.shape) == (torch.int32, q.shape[:1])
    counts = [k_cache.shape[1]] * len(q) if cache_seqlens is None else cache_seqlens.tolist()
    rows = list(range(len(q))) if cache_batch_idx is None else cache_batch_idx.tolist()
    return by_definition(*(t.transpose(1, 2) for t in (q, k_cache, v_cache)), counts, rows).transpose(1, 2).to(q.dtype)


def flash_varlen(q: Tensor, k: Tensor, v: Tensor, *, seqused_k: Tensor | None = None) -> tuple[Tensor, None]:
    """flash-attn 4's function by its documentation: it gives the log-sum-exp as well, if asked."""
    assert len(q) == len(k) == len(v)
    return flash_with_kvcache(q, k, v, cache_seqlens=seqused_k), None


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Makes it seem that these distributions are installed, in these versions, on a CUDA device of this capability."""

    def install(capability: tuple[int, int], broken: bool = False, **versions: str) -> None:
        def version(name: str) -> str:
            if name.replace("-", "_") not in versions:
                raise metadata.PackageNotFoundError(name)
            return versions[name.replace("-", "_")]

        two, four = ModuleType("flash_attn"), ModuleType("flash_attn.cute")
        if "flash_attn" in versions and not broken:
            two.flash_attn_with_kvcache = flash_with_kvcache  # type: ignore[attr-defined]
        if "flash_attn_4" in versions:
            four.flash_attn_varlen_func = flash_varlen  # type: ignore[attr-defined]
        two.cute, two.__path__ = four, []  # type: ignore[attr-defined]
        monkeypatch.setitem(sys.modules, "flash_attn", two)
        monkeypatch.setitem(sys.modules, "flash_attn.cute", four)
        monkeypatch.setattr("dllm.models.attention.metadata", SimpleNamespace(
            version=version, PackageNotFoundError=metadata.PackageNotFoundError
        ))  # fmt: skip
        monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: capability)
        choose_attention.cache_clear()

    choose_attention.cache_clear()
    yield install
    choose_attention.cache_clear()


@st.composite
def asked(draw: st.DrawFn) -> tuple[Tensor, Tensor, Tensor, list[int]]:
    """Queries, keys, values and how many entries each row may see."""
    group, kv_heads, n, batch, visible = (draw(st.integers(1, most)) for most in (3, 2, 4, 3, 9))
    generator = torch.Generator().manual_seed(draw(st.integers(0, 99)))
    q = torch.randn(batch, group * kv_heads, n, 8, generator=generator)
    k, v = (torch.randn(batch, kv_heads, visible, 8, generator=generator) for _ in range(2))
    return q, k, v, draw(st.lists(st.integers(1, visible), min_size=batch, max_size=batch))


def look_of(counts: list[int], visible: int, slots: list[int] | None = None, *, bias: bool = False) -> AttentionMask:
    allowed = torch.arange(visible) < torch.tensor(counts)[:, None, None, None]
    mask = torch.zeros(allowed.shape).masked_fill(~allowed, -torch.inf) if bias else allowed
    return AttentionMask(mask, torch.tensor(counts).int(), None if slots is None else torch.tensor(slots))


@pytest.mark.parametrize("kernel", [eager, sdpa, flash2, flash4])
@pytest.mark.parametrize("bias", [False, True])
@given(asked=asked(), shuffled=st.randoms())
def test_every_kernel_is_attention(kernel: Any, bias: bool, asked: Any, shuffled: Any) -> None:
    modules = {"flash_attn": ModuleType("flash_attn"), "flash_attn.cute": ModuleType("flash_attn.cute")}
    modules["flash_attn"].flash_attn_with_kvcache = flash_with_kvcache  # type: ignore[attr-defined]
    modules["flash_attn.cute"].flash_attn_varlen_func = flash_varlen  # type: ignore[attr-defined]
    with pytest.MonkeyPatch.context() as patch:
        for name, module in modules.items():
            patch.setitem(sys.modules, name, module)
        q, k, v, counts = asked
        batch, visible = len(q), k.shape[2]
        whole = by_definition(q, k, v, [visible] * batch, list(range(batch)))
        torch.testing.assert_close(kernel(q, k, v, AttentionMask()).double(), whole, rtol=1e-4, atol=1e-5)
        slots = shuffled.sample(range(batch), batch)
        for rows in (None, slots):
            want = by_definition(q, k, v, counts, rows or list(range(batch)))
            got = kernel(q, k, v, look_of(counts, visible, rows, bias=bias))
            torch.testing.assert_close(got.double(), want, rtol=1e-4, atol=1e-5)


@given(asked=asked(), seed=st.integers(0, 99))
def test_a_mask_that_is_no_count_is_never_left_to_flash(asked: Any, seed: int) -> None:
    q, k, v, _ = asked
    mask = torch.rand(q.shape[2], k.shape[2], generator=torch.Generator().manual_seed(seed)) < 0.5
    mask[:, 0] = True
    want = attention_with_probs(q, k, v, AttentionMask(mask))[0]
    for kernel in (flash2, flash4):  # neither is installed: they would raise
        torch.testing.assert_close(kernel(q, k, v, AttentionMask(mask)), want, rtol=1e-4, atol=1e-5)


@given(asked=asked())
def test_observed_probabilities_are_those_attended_by(asked: Any) -> None:
    q, k, v, counts = asked
    out, probs = attention_with_probs(q, k, v, look_of(counts, k.shape[2], bias=True))
    assert probs.shape == (*q.shape[:3], k.shape[2])
    assert all(not probs[b, ..., count:].any() for b, count in enumerate(counts))
    values = v.repeat_interleave(q.shape[1] // k.shape[1], dim=1)
    torch.testing.assert_close(probs @ values, out, rtol=1e-4, atol=1e-5)


def test_on_a_cpu_it_is_sdpa() -> None:
    chosen = choose_attention(CPU, BF16, head_dim=64)
    assert (chosen.name, chosen.kernel, str(chosen)) == ("sdpa", sdpa, "sdpa")
    assert "need a CUDA device" in chosen.reason


@pytest.mark.parametrize(("versions", "capability", "name", "kernel"), [
    ({"flash_attn": "2.8.3"}, (8, 0), "flash (flash-attn 2.8.3)", flash2),
    ({"flash_attn": "2.8.3", "flash_attn_4": "4.0.0"}, (9, 0), "flash (flash-attn 2.8.3)", flash2),
    ({"flash_attn_4": "4.0.0"}, (9, 0), "flash (flash-attn-4 4.0.0)", flash4),
    ({"flash_attn_4": "4.0.0"}, (8, 9), "sdpa", sdpa),
    ({"flash_attn": "2.8.3"}, (7, 5), "sdpa", sdpa),
    ({}, (9, 0), "sdpa", sdpa),
])  # fmt: skip
def test_on_cuda_it_is_the_first_flash_that_suits(
    installed: Any, versions: dict[str, str], capability: tuple[int, int], name: str, kernel: Any
) -> None:
    installed(capability, **versions)
    chosen = choose_attention(CUDA, BF16, head_dim=128)
    assert (str(chosen), chosen.kernel) == (name, kernel)


@pytest.mark.parametrize(("wrong", "why"), [
    ({"dtype": FP32}, "not in float32"), ({"head_dim": 320}, "not 320"), ({"head_dim": 20}, "not 20"),
])  # fmt: skip
def test_flash_is_left_out_where_it_cannot_compute(installed: Any, wrong: dict[str, Any], why: str) -> None:
    installed((9, 0), flash_attn="2.8.3")
    asked = {"dtype": BF16, "head_dim": 128, **wrong}
    chosen = choose_attention(CUDA, asked["dtype"], head_dim=asked["head_dim"])
    assert chosen.kernel is sdpa
    assert why in chosen.reason
    with pytest.raises(ValueError, match=f"attention is 'flash', but .*{why}; allowed here: eager, sdpa"):
        choose_attention(CUDA, asked["dtype"], head_dim=asked["head_dim"], requested="flash")


def test_a_flash_that_cannot_be_imported_is_left_out_and_said(installed: Any) -> None:
    installed((9, 0), broken=True, flash_attn="2.8.3", flash_attn_4="4.0.0")
    assert choose_attention(CUDA, BF16, head_dim=128).kernel is flash4
    installed((9, 0), broken=True, flash_attn="2.8.3")
    assert "flash-attn cannot be imported (AttributeError" in choose_attention(CUDA, BF16, head_dim=128).reason


def test_what_is_asked_for_is_taken_but_not_against_the_need_for_probabilities(installed: Any) -> None:
    installed((9, 0), flash_attn="2.8.3")
    for requested, kernel in (("eager", eager), ("sdpa", sdpa), ("flash", flash2)):
        assert choose_attention(CUDA, BF16, head_dim=64, requested=requested).kernel is kernel
        assert choose_attention(CUDA, BF16, head_dim=64, requested=requested, probabilities=True).name == "eager"
    with pytest.raises(ValueError, match="attention is 'xformers'; allowed: eager, sdpa, flash"):
        choose_attention(CPU, BF16, head_dim=64, requested="xformers")
    with pytest.raises(ValueError, match="attention is 'flash', but flash kernels need a CUDA device"):
        choose_attention(CPU, BF16, head_dim=64, requested="flash")


def test_an_engine_says_what_was_chosen_and_why() -> None:
    described = engine_of(LLADA).describe()
    assert described["attention"] == "sdpa"
    assert described["attention_reason"] == "flash kernels need a CUDA device, and this is cpu"


def test_nothing_imports_flash_attn_before_it_is_chosen() -> None:

    assert "flash_attn" not in sys.modules


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("n", [1, 8, 32])
def test_on_a_gpu_the_best_kernel_is_eager_within_bf16(n: int) -> None:
    generator = torch.Generator("cuda").manual_seed(0)
    q = torch.randn(2, 28, n, 128, generator=generator, device="cuda").to(BF16)
    k, v = (torch.randn(3, 4, 512, 128, generator=generator, device="cuda").to(BF16) for _ in range(2))
    best = choose_attention(torch.device("cuda"), BF16, head_dim=128)
    counts, slots = torch.tensor([300, 512], device="cuda"), torch.tensor([2, 0], device="cuda")
    mask = torch.zeros(2, 1, 1, 512, device="cuda", dtype=BF16)
    mask.masked_fill_(torch.arange(512, device="cuda") >= counts[:, None, None, None], -torch.inf)
    masked = AttentionMask(mask, counts.int(), slots)
    want = eager(q.float(), k.float(), v.float(), AttentionMask(mask.float(), counts.int(), slots))
    torch.testing.assert_close(best.kernel(q, k, v, masked).float(), want, rtol=2e-2, atol=2e-2)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@given(seed=st.integers(0, 99), scale=st.sampled_from([1.0, 8.0, 30.0]))
def test_observed_attention_is_as_exact_as_what_it_stands_for(dtype: torch.dtype, seed: int, scale: float) -> None:
    """Scores rounded to half precision before the softmax made a run that is looked at write another answer."""
    generator = torch.Generator().manual_seed(seed)
    q = (scale * torch.randn(1, 4, 3, 64, generator=generator)).to(dtype)
    k, v = (torch.randn(1, 2, 40, 64, generator=generator).to(dtype) for _ in range(2))
    want = by_definition(q, k, v, [40], [0])
    off = {kernel: (kernel(q, k, v, AttentionMask()).double() - want).abs().max() for kernel in (eager, sdpa)}
    assert off[eager] <= 2 * off[sdpa] + torch.finfo(dtype).eps
