import pytest
import torch

from dllm.models import ceilings as module
from dllm.models.ceilings import ceilings


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_product_is_below_both_ceilings(dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(module.SIDE, "cpu", 256)
    monkeypatch.setitem(module.BYTES, "cpu", 2**22)
    flops, read = ceilings(torch.device("cpu"), dtype)
    assert 1e7 < flops < 1e15
    assert 1e7 < read < 1e13


def test_the_best_of_several_tries_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter([0.0, 9.0, 0.0, 3.0, 0.0, 2.0, 0.0, 5.0, 0.0, 4.0, 0.0, 6.0])
    monkeypatch.setattr(module, "TRIES", 5)
    monkeypatch.setattr(module, "perf_counter", lambda: next(clock))
    calls: list[int] = []
    assert module._best(lambda: calls.append(1), torch.device("cpu")) == 2.0  # the first does not count
    assert len(calls) == module.TRIES + 1
