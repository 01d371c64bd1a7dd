"""Who sees whom under hybrid attention, by the definition, in every pass that a decoder makes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dllm.cache.plans import denoise, hybrid_layout
from dllm.canvas import Canvas
from dllm.settings import Choice, Settings
from dllm.step import Layout
from tests.dllm.nets import hybrid_engine, prompts


def canvas_of(prompt: list[int], length: int, written: dict[int, int], attention: str = "hybrid") -> Canvas:
    canvas = Canvas(prompt, length, block_size=4, mask_id=39, shift=1, attention=attention)
    for position, token in written.items():
        canvas.commit(position, token)
    return canvas


@st.composite
def canvases(draw: st.DrawFn) -> Canvas:
    prompt = draw(prompts(high=5))
    length = draw(st.integers(1, 8))
    places = st.integers(len(prompt), len(prompt) + length - 1)
    return canvas_of(prompt, length, draw(st.dictionaries(places, st.integers(0, 5), max_size=length)))


@given(canvas=canvases(), data=st.data())
def test_known_tokens_see_known_ones_up_to_their_own_and_masks_see_all(canvas: Canvas, data: st.DataObject) -> None:
    visible = data.draw(st.integers(1, canvas.length))
    queries = sorted(data.draw(st.sets(st.integers(0, visible - 1), min_size=1)))
    layout = hybrid_layout(canvas, queries, visible)
    mask = [bool(m) for m in canvas.masked[:visible]]
    if not any(mask):
        assert layout is None  # plain causal attention, as in AR
        return
    assert layout is not None
    for row, q in zip(layout.sees.tolist(), queries, strict=True):
        assert row == [True if mask[q] else not mask[k] and k <= q for k in range(visible)]
    assert list(layout.masks) == [n for n, q in enumerate(queries) if mask[q]]
    assert (layout.slots, layout.rows, layout.guesses) == (None, None, 0)
    assert denoise(canvas, queries, (), visible=visible).tokens == [canvas.ids[q] for q in queries]


@given(prompt=prompts(high=9), block=st.sampled_from([1, 2, 4]), cache=st.sampled_from(["none", "block", "sub_block"]))
def test_every_pass_of_a_run_is_laid_out_so(prompt: list[int], block: int, cache: str) -> None:
    run = hybrid_engine().run(prompt, Settings(gen_length=8, block_size=block, cache=Choice(cache), attention="hybrid",
                                               unmask=Choice("threshold", {"threshold": 0.1})))  # fmt: skip
    session = run.session()
    while plan := run.plan():
        canvas, shown = run.canvas, plan.visible
        mask = [bool(m) for m in canvas.masked[:shown]]
        block_end = canvas.block_at(canvas.written)[1]
        assert shown <= block_end  # nothing behind the block is seen
        if plan.layout is None:
            assert not any(mask)
            assert plan.queries[-1] == shown - 1
        else:
            for row, q in zip(plan.layout.sees.tolist(), plan.queries, strict=True):
                assert row == [True if mask[q] else not mask[k] and k <= q for k in range(shown)]
        run.record(run.commit(run.runner.forward([(session, plan)])[0]))


@given(prompt=prompts(high=6), drafts=st.integers(1, 4), cache=st.sampled_from(["none", "block"]))
def test_a_verified_pass_shows_each_group_the_case_it_is_for(prompt: list[int], drafts: int, cache: str) -> None:
    """Text and drafts see what precedes them; a group sees the text, as many drafts as its case says, and itself."""
    chosen = Settings(gen_length=12, cache=Choice(cache), unmask=Choice("verify", {"drafts": drafts, "least": 0.0}))
    run = hybrid_engine(4, echo=True).run(prompt, chosen)
    session = run.session()
    while plan := run.plan():
        step = run.commit(run.runner.forward([(session, plan)])[0])
        run.record(step)
        layout = plan.layout
        assert isinstance(layout, Layout)
        assert layout.slots is not None
        assert layout.rows is not None
        start, tested = layout.slots.start, step.tested or ()
        known = step.block[0]
        text = list(range(start, known + len(tested)))
        assert list(plan.queries[: len(text)]) == text
        owners: list[int | None] = [None] * len(text)
        positions = list(text)
        for number, case in enumerate(step.cases or ()):
            owners += [number] * len(case.tokens)
            positions += range(case.position - 1, case.position - 1 + len(case.tokens))
        assert list(plan.queries) == positions
        assert layout.slots == range(start, start + len(positions))
        assert list(layout.masks) == [n for n, owner in enumerate(owners) if owner is not None]
        for row, owner, q in zip(layout.sees.tolist(), owners, positions, strict=True):
            right = None if owner is None else (step.cases or ())[owner].right
            wanted = []
            for slot in range(plan.visible):
                theirs = owners[slot - start] if slot >= start else None
                if theirs is not None:
                    wanted.append(theirs == owner)
                elif right is None:
                    wanted.append(slot <= q)
                else:
                    wanted.append(slot < known + right)
            assert row == wanted
        # AR's answers are read at the text's last tokens, guesses at the masks themselves
        assert [positions[r] + 1 for r in layout.rows] == list(plan.asked)
        assert layout.guesses == sum(owner is not None for owner in owners)


@pytest.mark.parametrize("attention", ["block_causal", "bidirectional"])
def test_other_attentions_need_no_layout(attention: str) -> None:
    assert denoise(canvas_of([1, 2], 6, {}, attention), range(2, 6), (3,)).layout is None
