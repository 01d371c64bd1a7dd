"""KV caches: one sequence's keys and values, and a pool whose slots CUDA graphs know by their addresses."""

import weakref
from dataclasses import dataclass

import torch
from torch import Tensor

from dllm.models.families import Shape

SLOTS = 4  # sessions with room in the storage, unless more are reserved
MIN_CAPACITY = 512  # positions of a slot; grows by doubling: growing invalidates every graph


@dataclass(eq=False)
class KVCache:
    """Keys and values of every layer at absolute positions: (layers, batch, kv_heads, capacity, head_dim) each.

    slot: the row of a shared storage that this is a part of; None where the storage is its own.
    """

    keys: Tensor
    values: Tensor
    slot: int | None = None

    @classmethod
    def empty(cls, shape: Shape, capacity: int, *, batch: int, dtype: torch.dtype, device: torch.device) -> "KVCache":
        """Storage of its own, zeros."""
        size = (shape.layers, batch, shape.kv_heads, capacity, shape.head_dim)
        return cls(torch.zeros(size, dtype=dtype, device=device), torch.zeros(size, dtype=dtype, device=device))

    def row(self, slot: int, capacity: int | None = None) -> "KVCache":
        """The first `capacity` entries of one row, as a view."""
        return KVCache(self.keys[:, slot : slot + 1, :, :capacity], self.values[:, slot : slot + 1, :, :capacity], slot)

    def layer_entries(self, visible: int | None) -> list[tuple[Tensor, Tensor]]:
        """By layer, keys and values of entries [0, visible) as views: (batch, kv_heads, visible, head_dim) each."""
        keys, values = (stored[:, :, :, :visible].unbind() for stored in (self.keys, self.values))
        return list(zip(keys, values, strict=True))


class KVPool:
    """Slots of one storage. A slot is free again when its `KVCache` is garbage-collected."""

    def __init__(self, shape: Shape, *, dtype: torch.dtype, device: torch.device) -> None:
        self.shape, self.dtype, self.device = shape, dtype, device
        self.slots = self.capacity = 0
        self.storage: KVCache | None = None
        self._free: list[int] = []

    def must_grow(self, slots: int, capacity: int) -> bool:
        """Whether these sessions need a larger storage, and no slot is in use, so that it can be replaced."""
        return (slots > self.slots or capacity > self.capacity) and len(self._free) == self.slots

    def grow(self, slots: int, capacity: int) -> None:
        """Replace the storage by one with room for at least these."""
        self.slots, self.capacity = max(slots, self.slots), max(MIN_CAPACITY, self.capacity)
        while self.capacity < capacity:
            self.capacity *= 2
        self.storage = None  # both may not fit side by side
        self.storage = KVCache.empty(self.shape, self.capacity, batch=self.slots, dtype=self.dtype, device=self.device)
        self._free = list(range(self.slots))[::-1]

    def allocate(self, capacity: int) -> KVCache | None:
        """The lowest free slot, cleared; None if none is free or large enough."""
        if self.storage is None or capacity > self.capacity or not self._free:
            return None
        slot = self._free.pop()
        taken = self.storage.row(slot, capacity)
        taken.keys.zero_()
        taken.values.zero_()
        weakref.finalize(taken, self._give_back, slot, self.storage)
        return taken

    def _give_back(self, slot: int, storage: KVCache) -> None:
        if storage is self.storage:
            self._free.append(slot)
            self._free.sort(reverse=True)
