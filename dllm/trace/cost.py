"""What a forward pass costs by the network's sizes: floating-point operations and bytes moved."""

from dataclasses import dataclass
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Count = Annotated[int, Field(ge=1, lt=2**32)]

FORMULAS = (
    "Operations, 2 a multiply-add. Projections: 2 · layers · weights of a layer · positions computed. Attention: "
    "4 · layers · heads · head size · positions computed · positions visible. Head: 2 · hidden · vocabulary · "
    "positions asked. Bytes: weights once a pass (the head's where a position is asked), keys and values of visible "
    "positions read and of computed ones written. Intensity: operations a byte."
)


class Sizes(BaseModel):
    """The sizes a pass is priced by. layer_weights: numbers in one layer's matrices; itemsize: bytes a number."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    layers: Count
    hidden: Count
    heads: Count
    kv_heads: Count
    head_dim: Count
    layer_weights: Count
    vocab: Count
    itemsize: Count


@dataclass(frozen=True, slots=True)
class Cost:
    """One pass: operations of projections, attention and head; bytes of weights, of KV entries read and written."""

    projections: int
    attention: int
    head: int
    weights: int
    read: int
    written: int

    @property
    def flops(self) -> int:
        """Operations of all parts."""
        return self.projections + self.attention + self.head

    @property
    def bytes(self) -> int:
        """Bytes of all kinds."""
        return self.weights + self.read + self.written

    @property
    def intensity(self) -> float:
        """Operations a byte: below what the machine does in the time of a byte, memory is what is waited for."""
        return self.flops / self.bytes


def cost(queries: int, visible: int, asked: int, sizes: Sizes) -> Cost:
    """The price of a pass over `queries` positions; see FORMULAS."""
    entry = 2 * sizes.layers * sizes.kv_heads * sizes.head_dim * sizes.itemsize
    head = sizes.hidden * sizes.vocab
    return Cost(
        projections=2 * sizes.layers * sizes.layer_weights * queries,
        attention=4 * sizes.layers * sizes.heads * sizes.head_dim * queries * visible,
        head=2 * head * asked,
        weights=sizes.itemsize * (sizes.layers * sizes.layer_weights + (head if asked else 0)),
        read=entry * visible,
        written=entry * queries,
    )
