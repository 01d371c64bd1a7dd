"""Peaks on a clock that the test advances: what a machine of a known speed is measured to do, and how long it takes."""

from collections.abc import Callable

import pytest
import torch

from dllm.models import device as module
from dllm.models.device import peak_rates  # at import: every test finds a quick one in its place

CPU = torch.device("cpu")
DTYPES = (torch.float32, torch.bfloat16)


class Machine:
    """A clock that products advance: `flops` operations a second, or `bytes` read a second."""

    def __init__(self, flops: float, bytes: float, *, slow_first: float = 1.0) -> None:
        self.flops, self.bytes, self.slow_first = flops, bytes, slow_first
        self.now, self.calls, self.reads, self.largest = 0.0, 0, 0, 0

    def product(self, left: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
        rows = left.shape[0]
        seconds = 2 * rows * right.numel() / self.flops if rows > 1 else right.numel() * right.itemsize / self.bytes
        self.now += seconds * (self.slow_first if self.calls == 0 else 1)
        self.calls += 1
        self.reads += rows == 1
        self.largest = max(self.largest, rows)
        return left.new_empty(rows, right.shape[1])


@pytest.fixture
def on(monkeypatch: pytest.MonkeyPatch) -> Callable[[Machine], Machine]:
    def use(machine: Machine) -> Machine:
        monkeypatch.setattr(module, "perf_counter", lambda: machine.now)
        monkeypatch.setattr(torch.Tensor, "__matmul__", _method(machine))
        return machine

    return use


def _method(machine: Machine) -> Callable[[torch.Tensor, torch.Tensor], torch.Tensor]:
    """A bound method, set on a class, would not be given the tensor."""

    def product(left: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
        return machine.product(left, right)

    return product


measured = pytest.mark.parametrize("dtype", DTYPES)


@measured
@pytest.mark.parametrize("flops", [1e9, 1e11, 1e13])
def test_a_machine_of_a_known_speed_is_found_to_have_it(
    dtype: torch.dtype, flops: float, on: Callable[[Machine], Machine]
) -> None:
    machine = on(Machine(flops, 1e10))
    assert peak_rates(CPU, dtype) == pytest.approx((flops, 1e10), rel=1e-6)
    assert machine.calls > 4


@pytest.mark.parametrize(("flops", "bytes"), [(1e9, 1e9), (1e10, 2e9), (1e11, 1e10), (1e13, 1e11)])
def test_both_take_three_tenths_of_a_second_at_most(
    flops: float, bytes: float, on: Callable[[Machine], Machine]
) -> None:
    machine = on(Machine(flops, bytes))
    peak_rates(CPU, torch.float32)
    assert machine.now <= 0.3


def test_a_fast_machine_multiplies_large_matrices_and_a_slow_one_small_ones(
    on: Callable[[Machine], Machine],
) -> None:
    sides = []
    for flops in (1e9, 1e13):
        machine = on(Machine(flops, 1e11))
        peak_rates(CPU, torch.float32)
        sides.append(machine.largest)
    assert sides == [module.MATRIX_SIDES["cpu"][0], module.MATRIX_SIDES["cpu"][-1]]


def test_a_try_that_was_slowed_down_does_not_count(on: Callable[[Machine], Machine]) -> None:
    on(Machine(1e12, 1e10, slow_first=3))
    assert peak_rates(CPU, torch.float32)[0] == pytest.approx(1e12, rel=1e-6)


def test_a_read_that_takes_too_long_is_made_once(on: Callable[[Machine], Machine]) -> None:
    machine = on(Machine(1e9, 1e8))
    assert peak_rates(CPU, torch.float32)[1] == pytest.approx(1e8, rel=1e-6)
    assert machine.reads == 1


@measured
def test_real_products_are_timed(dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(module.READ_BYTES, "cpu", 2**22)
    assert all(0 < peak < float("inf") for peak in peak_rates(CPU, dtype))
