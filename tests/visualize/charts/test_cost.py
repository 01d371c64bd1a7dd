import pytest
from hypothesis import given
from hypothesis import strategies as st

from dllm.trace import Trace
from dllm.trace.cost import Sizes, cost
from tests.dllm.traces import decoded, every_way, made
from tests.visualize.records import step
from tests.visualize.runs import verified
from visualize.charts.cost import BYTE_PARTS, OPERATION_PARTS, intensity, moved, operations
from visualize.pricing import has_sizes, pass_costs

COUNTS = st.integers(1, 500)


@given(queries=COUNTS, more=COUNTS, asked=st.integers(0, 64))
def test_a_pass_costs_the_sum_of_its_multiplications(queries: int, more: int, asked: int) -> None:
    """Each product of matrices (m, k) · (k, n) by its 2mkn."""
    visible = queries + more
    sizes = Sizes(
        layers=3, hidden=16, heads=4, kv_heads=2, head_dim=4, layer_weights=16 * 16 + 24, vocab=40, itemsize=2
    )
    price = cost(queries, visible, asked, sizes)
    by_head = 2 * queries * sizes.head_dim * visible + 2 * queries * visible * sizes.head_dim  # QK' and PV
    assert price.attention == 3 * 4 * by_head
    assert price.projections == 3 * 2 * queries * (16 * 16 + 24)
    assert price.head == 2 * asked * 16 * 40
    assert price.flops == price.attention + price.projections + price.head
    assert price.bytes == price.weights + price.read + price.written
    assert cost(queries, visible, 0, sizes).weights < cost(queries, visible, 1, sizes).weights


@every_way
def test_the_parts_add_up_to_what_the_run_recorded(spec: object, cache: str) -> None:
    trace = decoded(spec, cache, [1, 2, 3, 4])  # type: ignore[arg-type]
    assert [(price.flops, price.bytes) for price in pass_costs(trace)] == [(s.flops, s.bytes) for s in trace.steps]
    for figure, parts, total in ((operations(trace), OPERATION_PARTS, "flops"), (moved(trace), BYTE_PARTS, "bytes")):
        assert [bar.name for bar in figure.data] == [name for _, name, *_ in parts]
        stacked = [sum(column) for column in zip(*(bar.y for bar in figure.data), strict=True)]
        assert stacked == [getattr(price, total) for price in pass_costs(trace)]


def test_masks_of_verified_decoding_have_their_price() -> None:
    trace = verified()
    assert [(price.flops, price.bytes) for price in pass_costs(trace)] == [(s.flops, s.bytes) for s in trace.steps]


def test_positions_a_token_are_counted_from_the_start() -> None:
    trace = made(step(0, {}), step(1, {4: 5}), step(2, {5: 6, 6: 7}))
    trace = trace.model_copy(update={"model": decoded_model()})
    assert list(intensity(trace).data[1].y) == [None, 8.0, 4.0]  # 4 positions a pass; 0, 1, then 3 tokens


def decoded_model() -> object:
    from dllm.models.families import LLADA

    return decoded(LLADA, "none", [1, 2]).model


def test_a_trace_without_sizes_cannot_be_priced() -> None:
    trace: Trace = made(step(0, {4: 5}))
    assert not has_sizes(trace)
    with pytest.raises(ValueError, match="no sizes"):
        pass_costs(trace)
