from hypothesis import given, settings
from hypothesis import strategies as st

from dllm.bench.references import References, item_of, reference_settings
from dllm.bench.suite import Item, Suite
from dllm.models.families import FAST_DLLM_V2, LLADA
from dllm.settings import Choice, Settings
from dllm.trace import Trace
from tests.dllm.nets import engine_of, naive_ar, prompts
from tests.dllm.traces import every_way


def judged(engine, trace: Trace, item: Item | None = None) -> tuple[Trace, list[str]]:  # type: ignore[no-untyped-def]
    references = References(engine, item=item)
    decoded = list(references.decode(trace))
    return references.compared(trace), decoded


@every_way
@settings(max_examples=5, deadline=None)
@given(prompt=prompts(), threshold=st.sampled_from([0.05, 0.1, 0.5]))
def test_references_are_what_exact_decoders_write(spec, cache, prompt, threshold) -> None:  # type: ignore[no-untyped-def]
    engine = engine_of(spec)
    rule = Choice("threshold", {"threshold": threshold})
    run = engine.run(prompt, Settings(gen_length=9, block_size=4, cache=Choice(cache), unmask=rule))
    list(run)
    trace, _ = judged(engine, run.trace())
    assert trace.gate
    for name, unmask in (("no_cache", rule), ("one_by_one", Choice("top_k", {"k": 1}))):
        attention = trace.settings["attention"]
        exact = engine.run(prompt, Settings(gen_length=9, block_size=4, sub_block_size=trace.settings["sub_block_size"],
                                            attention=attention, cache=Choice("none"), unmask=unmask))  # fmt: skip
        list(exact)
        assert trace.gate.references[name] == exact.canvas.output  # type: ignore[index]


def test_ar_is_held_against_the_definition() -> None:
    engine = engine_of(FAST_DLLM_V2)
    run = engine.run([1, 2, 3], Settings(gen_length=9, block_size=1, stop_ids=()))
    list(run)
    trace, _ = judged(engine, run.trace())
    assert trace.gate
    assert trace.gate.references == {"no_cache": naive_ar(engine, [1, 2, 3], 9)}


def test_a_reference_is_decoded_once_for_all_lanes() -> None:
    engine = engine_of(LLADA)
    traces = []
    for cache in ("prefix", "dual"):
        run = engine.run([1, 2, 3], Settings(gen_length=8, block_size=4, cache=Choice(cache)))
        list(run)
        traces.append(run.trace())
    references = References(engine)
    assert set(references.decode(traces[0])) == {"no_cache", "one_by_one"}
    assert list(references.decode(traces[1])) == []


def test_an_exact_answer_is_its_own_reference() -> None:
    engine = engine_of(LLADA)
    run = engine.run([1, 2], Settings(gen_length=6, block_size=3, cache=Choice("none"), unmask=Choice("top_k")))
    list(run)
    trace, decoded = judged(engine, run.trace())
    assert decoded == []
    assert trace.gate
    assert set(map(tuple, trace.gate.references.values())) == {tuple(trace.output)}


def test_the_score_of_the_rule_is_kept() -> None:
    rule = Choice("threshold", {"threshold": 0.5, "score": "margin"})
    found = reference_settings(Settings(gen_length=4, block_size=4, attention="bidirectional", unmask=rule))
    assert found["one_by_one"].unmask == Choice("top_k", {"k": 1, "score": "margin"})
    assert found["no_cache"].unmask == rule


def test_an_answer_that_was_drawn_has_no_reference_but_a_likelihood() -> None:
    engine = engine_of(FAST_DLLM_V2)
    run = engine.run([1, 2, 3], Settings(gen_length=6, block_size=4, temperature=1.0))
    list(run)
    trace, decoded = judged(engine, run.trace())
    assert decoded == []
    assert trace.gate
    assert trace.gate.references == {}
    assert trace.gate.log_prob == engine.log_prob(trace.prompt, trace.output)


def test_what_was_not_decoded_in_time_is_left_out() -> None:
    engine = engine_of(FAST_DLLM_V2)
    run = engine.run([1, 2, 3], Settings(gen_length=6, block_size=4, cache=Choice("block"), stop_ids=()))
    list(run)
    references = References(engine)
    assert references.gate(run.trace()).references == {}
    next(name for name in references.decode(run.trace()) if name == "one_by_one")
    assert list(references.gate(run.trace()).references) == ["no_cache"]


def test_likelihood_is_the_mean_over_the_answer() -> None:
    from dllm.models.likelihood import log_probabilities

    engine = engine_of(FAST_DLLM_V2)
    (logs,) = log_probabilities(engine.model.net, [([1, 2, 3], [4, 5])])
    assert engine.log_prob([1, 2, 3], [4, 5]) == sum(logs) / 2
    assert engine.log_prob([1, 2, 3], []) is None
    assert engine_of(LLADA).log_prob([1], [2]) is None


def test_a_trace_keeps_its_gate_when_it_is_saved() -> None:
    engine = engine_of(FAST_DLLM_V2)
    run = engine.run([1, 2, 3], Settings(gen_length=8, block_size=4))
    list(run)
    trace, _ = judged(engine, run.trace())
    assert Trace.from_json(trace.to_json()).gate == trace.gate


def test_a_prompt_is_known_as_the_item_it_is() -> None:
    item = Suite.load("default").checked[0]
    assert item_of(f" {item.prompt}\n") == item
    assert item_of("Something that no suite asks") is None
