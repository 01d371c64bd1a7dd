"""What a forward pass costs by the network's sizes: floating-point operations and bytes moved."""

from dataclasses import dataclass

from dllm.step import Plan


@dataclass(frozen=True, slots=True)
class Sizes:
    """The sizes a pass is priced by. layer_weights: numbers in one layer's matrices; itemsize: bytes a number."""

    layers: int
    hidden: int
    heads: int
    kv_heads: int
    head_dim: int
    layer_weights: int
    vocab: int
    itemsize: int


def flops(plan: Plan, sizes: Sizes) -> int:
    """2 operations a multiply-add: projections of all queries, QKᵀ and PV over what they see, the head's asked rows."""
    queries = len(plan.queries)
    projections = 2 * sizes.layers * sizes.layer_weights * queries
    attention = 4 * sizes.layers * sizes.heads * sizes.head_dim * queries * plan.visible
    return projections + attention + 2 * sizes.hidden * sizes.vocab * len(plan.asked)


def bytes_moved(plan: Plan, sizes: Sizes) -> int:
    """Weights read once, keys and values of the queries written and of all visible entries read."""
    weights = sizes.layers * sizes.layer_weights + (sizes.hidden * sizes.vocab if plan.asked else 0)
    entries = 2 * sizes.layers * sizes.kv_heads * sizes.head_dim * (len(plan.queries) + plan.visible)
    return sizes.itemsize * (weights + entries)
