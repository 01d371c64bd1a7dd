"""Drift on the device: a session with the run's cache and one that recomputes everything, compared pass by pass."""

from copy import deepcopy
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from dllm.models.loader import Model
from dllm.models.runner import Runner
from dllm.models.sampling import Sampler
from dllm.step import Plan, Readout


@dataclass(frozen=True, slots=True)
class PassComparison:
    """Both readouts of a plan, 1 - cosine of cached and fresh KV entries, and the fresh keys (states).

    keys, values: float32 (layers, visible). states: float32 (layers, visible, kv_heads x head_dim).
    """

    cached: Readout
    fresh: Readout
    keys: np.ndarray
    values: np.ndarray
    states: np.ndarray


class SessionPair:
    """Two greedy sessions of one network, one cached and one fresh.

    In fp32 or more: bf16 rounds passes of other lengths so differently that an exact cache seems to change tokens.
    """

    def __init__(self, model: Model, capacity: int, *, block_size: int | None, shift: int) -> None:
        """The arguments are those of `Runner.session`."""
        net, sampler = model.net, Sampler(model.mask_id)
        if torch.finfo(net.dtype).bits < 32:
            net = deepcopy(net).float()
        self._runner = Runner(net)
        self.cached, self.fresh = (
            self._runner.session(capacity, block_size=block_size, shift=shift, sampler=sampler) for _ in range(2)
        )

    def forward(self, plan: Plan, whole: Plan) -> PassComparison:
        """Run a plan, and `whole`, which recomputes all that the plan sees."""
        cached, fresh = (self._runner.forward([asked])[0] for asked in ((self.cached, plan), (self.fresh, whole)))
        mine, other = self.cached.cache, self.fresh.cache
        states = _entries(other.keys, plan.visible)
        return PassComparison(
            cached,
            fresh,
            keys=_apart(_entries(mine.keys, plan.visible), states).cpu().numpy(),
            values=_apart(_entries(mine.values, plan.visible), _entries(other.values, plan.visible)).cpu().numpy(),
            states=states.cpu().numpy(),
        )


def _entries(stored: Tensor, visible: int) -> Tensor:
    """(layers, 1, kv_heads, capacity, head_dim) → (layers, visible, kv_heads x head_dim), fp32."""
    return stored[:, 0, :, :visible].transpose(1, 2).flatten(-2).float()


def _apart(a: Tensor, b: Tensor) -> Tensor:
    """1 - cosine along the last axis, as half the squared distance of unit vectors: exactly 0 for equal ones."""
    unit = torch.nn.functional.normalize
    return (unit(a, dim=-1) - unit(b, dim=-1)).square().sum(-1) / 2
