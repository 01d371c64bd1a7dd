"""A stand-in for CUDA graphs on any device: the operations of a body are noted once, and replaying runs just these.

As with a graph, whatever the body took from the host is baked in, and its tensors keep their addresses. What a capture
would not survive is refused: reading from the device, and tensors made of numbers of the host.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_iter

aten = torch.ops.aten
REFUSED = (
    aten._local_scalar_dense.default, aten.lift_fresh.default, aten.lift_fresh_copy.default, aten.nonzero.default,
    aten.masked_select.default, aten.unique_dim.default,
)  # fmt: skip


class Tape(TorchDispatchMode):
    """Notes operations while it is entered."""

    def __init__(self) -> None:
        super().__init__()
        self.notes: list[tuple[Any, Any, Any, list[Tensor]]] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        chosen = args[1] if func in (aten.index.Tensor, aten.index_put_.default) else []
        if func in REFUSED or any(t is not None and t.dtype == torch.bool for t in chosen):
            raise RuntimeError(f"operation not permitted when stream is capturing: {func}")
        out = func(*args, **(kwargs or {}))
        given = {storage(t) for t in tree_iter((args, kwargs)) if isinstance(t, Tensor)}
        fresh = [t for t in tree_iter(out) if isinstance(t, Tensor) and storage(t) not in given]
        self.notes.append((func, args, kwargs or {}, fresh))
        return out

    def replay(self) -> None:
        """Run the same operations on the same tensors."""
        for func, args, kwargs, fresh in self.notes:
            out = [t for t in tree_iter(func(*args, **kwargs)) if isinstance(t, Tensor)]
            for old, new in zip(fresh, out if fresh else [], strict=True):
                old.copy_(new)

    def poison(self) -> None:
        """Spoil what was computed, so that a replay must do it again."""
        for _, _, _, fresh in self.notes:
            for t in fresh:
                t.fill_(torch.nan if t.is_floating_point() else -1 if t.dtype != torch.bool else True)


def storage(t: Tensor) -> int:
    return t.untyped_storage().data_ptr()


def taped(body: Callable[[], Any], device: object = None) -> tuple[Callable[[], None], Any]:
    """What `captured` is on CUDA."""
    body()
    with Tape() as tape:
        found = body()

    def replay() -> None:
        tape.poison()
        tape.replay()

    return replay, found
