"""The objective equals the published one, and its layout is what it says."""

from dataclasses import replace
from itertools import product

import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st
from safetensors.torch import load_file

from dllm.models.families import FAST_DLLM_V2
from dllm.models.loader import tiny
from dllm.models.transformer import rope_table
from dllm.training.noise import complement, masked, scattered, tail, views
from dllm.training.objective import CLEAN, PADDING, SURE_ABOVE, Example, Measure, hidden, may_look, pack, score
from tests.dllm.nets import MASK, shape_of
from tests.goldens_io import GOLDENS, engine, golden

NETS = ("a", "b")


def recorded(case: dict) -> tuple[list[Example], list[list[list[bool]]]]:
    """The examples of a recorded loss and what its two views masked."""
    block, count = case["bd_size"], len(case["input_ids"])
    t = torch.tensor(case["t"]).view(count, -1, 1)
    u = torch.tensor(case["u"]).view(count, -1, block)
    examples = [
        Example(tuple(ids), tuple(label != -100 for label in labels), block)
        for ids, labels in zip(case["input_ids"], case["labels"], strict=True)
    ]
    first = [masked(e, t[i], u[i]) for i, e in enumerate(examples)]
    return examples, [[m, complement(e, m)] for e, m in zip(examples, first, strict=True)]


@pytest.mark.parametrize(("net_name", "number"), list(product(NETS, range(6))))
def test_loss_and_gradients_equal_the_published(net_name: str, number: int) -> None:
    case = golden("train")[net_name][number]
    model = engine(f"fast_dllm_v2_{net_name}").model
    batch = pack(*recorded(case), mask_id=199, from_clean=False)
    parameters = {name: p.clone().requires_grad_() for name, p in model.net.named_parameters()}
    if model.net.shape.tied:
        parameters["head.weight"] = parameters["embed.weight"]

    class Loss(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net = model.net

        def forward(self) -> torch.Tensor:
            return score(self.net, hidden(self.net, batch), batch.targets)[0] / len(batch.targets)

    loss = torch.func.functional_call(Loss(), {f"net.{name}": p for name, p in parameters.items()})
    assert loss.item() == pytest.approx(case["loss"], rel=1e-5)
    loss.backward()
    norms = {model.spec.tensor_name(name): norm for name, norm in case["grad_norms"].items()}
    assert set(norms) <= set(parameters)
    for name, norm in norms.items():
        grad = parameters[name].grad
        assert grad is not None
        assert grad.norm().item() == pytest.approx(norm, rel=1e-4, abs=1e-5), name


@pytest.mark.parametrize("net_name", NETS)
def test_logits_equal_the_published(net_name: str) -> None:
    case, number = golden("train")[net_name][2], 0
    net = engine(f"fast_dllm_v2_{net_name}").model.net
    examples, masks = recorded(case)
    batch = pack(examples, masks, mask_id=199, from_clean=False)
    logits = net.head(hidden(net, batch))
    want = load_file(GOLDENS / "train_logits.safetensors")[net_name]  # (views × rows, every fourth position, vocab)
    for row, shown_views in enumerate(masks):
        for view, shown in enumerate(shown_views):
            for p in (p for p, m in enumerate(shown) if m and p > 0):
                if (p - 1) % 4 == 0:
                    expected = want[view * len(examples) + row, (p - 1) // 4]
                    torch.testing.assert_close(logits[number], expected, rtol=1e-4, atol=1e-4)
                number += 1
    assert number == len(batch.targets)


@st.composite
def examples(draw: st.DrawFn, blocks: tuple[int, ...] = (1, 2, 4, 8)) -> Example:
    block = draw(st.sampled_from(blocks))
    length = block * draw(st.integers(1, 12 // block + 1))
    if length == 1:
        length = 2 * block
    prompt = draw(st.integers(1, length - 1))
    ids = draw(st.lists(st.integers(0, MASK - 1), min_size=length, max_size=length))
    return Example(tuple(ids), tuple(p >= prompt for p in range(length)), block)


def may_look_by_definition(q: tuple[int, int], k: tuple[int, int]) -> bool:
    """BD3-LM's three rules, for slots given as (part, block)."""
    if PADDING in (q[0], k[0]):
        return q[0] == k[0]
    if k[0] == CLEAN:
        return k[1] <= q[1] if q[0] == CLEAN else k[1] < q[1]
    return q == k


@given(st.lists(st.tuples(st.integers(-1, 2), st.integers(0, 3)), min_size=1, max_size=12), st.integers(0, 3))
def test_mask_by_definition(slots: list[tuple[int, int]], padding: int) -> None:
    slots = slots + [(PADDING, 0)] * padding
    part, block = (torch.tensor([column]) for column in zip(*slots, strict=True))
    want = [[may_look_by_definition(q, k) for k in slots] for q in slots]
    assert may_look(part, block).tolist() == [want]


@given(examples(), st.integers(0, 2**32))
def test_every_label_is_masked_in_one_view_and_only_one(example: Example, seed: int) -> None:
    batch = pack([example], [views(example, torch.Generator().manual_seed(seed))], mask_id=MASK)
    labels = [i for i, label in zip(example.ids, example.labelled, strict=True) if label]
    assert sorted(batch.targets.tolist()) == sorted(labels)
    shown = [(p, t) for p, t in zip(batch.positions[0].tolist(), batch.tokens[0].tolist(), strict=True)]
    masked_positions = [p for p, t in shown if t == MASK]
    assert sorted(masked_positions) == [p for p, label in enumerate(example.labelled) if label]
    assert all(example.ids[p] == t for p, t in shown if t != MASK)


@given(examples(), st.integers(0, 2**32))
def test_tails_are_the_last_labels_of_each_block(example: Example, seed: int) -> None:
    mask = tail(example, torch.Generator().manual_seed(seed))
    for start in range(0, len(mask), example.block):
        block = range(start, start + example.block)
        hidden_ones = [p for p in block if mask[p]]
        labels = [p for p in block if example.labelled[p]]
        assert hidden_ones == labels[len(labels) - len(hidden_ones) :]
        assert bool(hidden_ones) == bool(labels)


def test_views_are_what_the_config_asks_for() -> None:
    example = Example(tuple(range(24)), (False,) * 4 + (True,) * 20, 8)

    def drawn(**options: float) -> list[list[list[bool]]]:
        return [views(example, torch.Generator().manual_seed(seed), **options) for seed in range(200)]

    assert all(b == complement(example, a) for a, b in drawn())
    apart = drawn(complementary=False)
    assert any(b != complement(example, a) for a, b in apart)
    assert not any(
        m and not label for pair in apart for mask in pair for m, label in zip(mask, example.labelled, strict=True)
    )
    assert all(a[-1] and b[-1] for a, b in drawn(tails=1.0))  # the last label is in every tail
    mixed = sum(b != complement(example, a) for a, b in drawn(tails=0.5))
    assert 70 < mixed < 130


@pytest.mark.parametrize("sharpen", [0.0, 2.0])
def test_loss_by_definition(sharpen: float) -> None:
    """Cross entropy plus the weighted entropy of what hits, from plain probabilities."""
    net = tiny(shape_of(FAST_DLLM_V2), seed=4, mask_id=MASK)
    net.head.weight.data *= 40  # sure of itself
    generator = torch.Generator().manual_seed(0)
    example = Example(tuple(i % 9 for i in range(64)), (False,) + (True,) * 63, 8)
    batch = pack([example], [views(example, generator)], mask_id=MASK)
    guess = net.head(hidden(net, batch)).argmax(-1)
    batch = replace(batch, targets=torch.where(torch.arange(len(guess)) % 3 == 0, batch.targets, guess))
    probs = net.head(hidden(net, batch)).double().softmax(-1)
    right = [int(row.argmax()) == int(t) for row, t in zip(probs, batch.targets, strict=True)]
    sure = [float(row.max()) > SURE_ABOVE for row in probs]
    cost = -sum(float(row[t].log()) for row, t in zip(probs, batch.targets, strict=True))
    doubt = -sum(float((row * row.log()).nansum()) for row, r in zip(probs, right, strict=True) if r)
    loss, measure = score(net, hidden(net, batch), batch.targets, sharpen=sharpen)
    assert loss.item() == pytest.approx(cost + sharpen * doubt, rel=1e-4)
    assert measure.loss == pytest.approx(cost, rel=1e-4)
    hits = sum(map(int.__mul__, right, sure))
    assert (measure.labels, measure.hits, measure.sure, measure.sure_hits) == (63, sum(right), sum(sure), hits)
    assert 0 < sum(right) < 63
    assert 0 < sum(sure) < 63
    twice = (measure + measure).mean()
    assert {k: twice[k] for k in ("loss", "accuracy", "sure")} == {
        k: measure.mean()[k] for k in ("loss", "accuracy", "sure")
    }
    assert Measure(labels=2).mean()["sure_accuracy"] is None


@given(st.lists(examples(), min_size=1, max_size=3), st.integers(0, 2**32))
def test_states_equal_those_of_decoding(batch: list[Example], seed: int) -> None:
    """Each label is predicted from what a decoder would compute: clean blocks before, its own block half masked."""
    net = tiny(shape_of(FAST_DLLM_V2), seed=1, mask_id=MASK).double()
    generator = torch.Generator().manual_seed(seed)
    masks = [[scattered(e, generator), tail(e, generator), scattered(e, generator)] for e in batch]
    packed = pack(batch, masks, mask_id=MASK)
    assume(len(packed.targets))
    got = hidden(net, packed)
    want = []
    for example, shown in zip(batch, masks, strict=True):
        for view, p in product(shown, range(1, len(example.ids))):
            if view[p]:
                want.append(state_by_decoding(net, example, view, p))
    torch.testing.assert_close(got, torch.stack(want))


def state_by_decoding(net: torch.nn.Module, example: Example, view: list[bool], p: int) -> torch.Tensor:
    block = example.block
    start, end = p // block * block, p // block * block + block
    if p % block == 0:
        start, end, view = start - block, start, [False] * len(view)  # the commit pass of the block before
    ids = [MASK if start <= i and view[i] else example.ids[i] for i in range(end)]
    group = torch.arange(end) // block
    rope = rope_table(net.shape, end, torch.device("cpu"))
    return net(torch.tensor([ids]), rope, mask=group[:, None] >= group)[0, p - 1]


@pytest.mark.parametrize(
    ("ids", "labelled", "block", "what"),
    [
        ((1, 2, 3), (False, True, True), 2, "whole blocks"),
        ((1, 2), (True,), 2, "as many labels"),
        ((1, 2), (True, False), 2, "nothing to learn"),
        ((), (), 1, "0 ids"),
    ],
)
def test_a_bad_example_is_refused(ids: tuple, labelled: tuple, block: int, what: str) -> None:
    with pytest.raises(ValueError, match=what):
        Example(ids, labelled, block)
