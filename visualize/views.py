"""The inspector's views as data, and the answers to what the page asks about a lane: pure functions of its record.

A question is plain JSON: {"view": a name in VIEWS or QUESTIONS, and its options}; an answer is plain JSON too. The app
answers live, an exported page carries the answers with it.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import plotly.graph_objects as go

from dllm.attention import Maps
from dllm.cost import FORMULAS
from dllm.drift import Drift
from dllm.trace import MAX_CELLS, Trace
from visualize import attention, cost, drift, gate, influence, ledger, order, race, roofline, score
from visualize.facts import short_words
from visualize.figure import spec


class QuestionError(ValueError):
    """A question that cannot be answered; the message names the value and what is allowed."""


@dataclass(frozen=True, slots=True)
class Shown:
    """A lane on show: its trace, and what was recorded beside it; lanes: every trace of the run by its lane's title."""

    trace: Trace
    maps: Maps | None = None
    drift: Drift | None = None
    lanes: Mapping[str, Trace] = field(default_factory=dict)


Options = Mapping[str, Any]
Draw = Callable[[Shown, Options], Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class View:
    """One tab: what to look for, what is said where there is nothing to show, and what is drawn.

    captions: one a figure, its name for those who cannot see it.
    needs:    whether a lane has what the view draws; None: every lane has.
    """

    title: str
    look_for: str
    empty: str
    captions: tuple[str, ...]
    draw: Callable[[Shown, Options], Sequence[go.Figure]]
    needs: Callable[[Shown], bool] | None = None


VIEWS: dict[str, View] = {
    "score": View(
        "Score sheet",
        "Look for bright cells that are not outlined: guesses the model was sure of but did not keep, and the step at "
        "which they turned into tokens.",
        "Nothing was predicted in this lane.",
        ("Confidence of every prediction, step by position; outlined where it was committed",),
        lambda shown, _: [score.score_sheet(shown.trace)],
    ),
    "order": View(
        "Decode order",
        "Look for how far the next token lies from the last one: near it, decoding is almost left to right; far away, "
        "the model jumps.",
        "No token was committed in this lane.",
        ("Step at which each position was committed", "Distance to the token committed before"),
        lambda shown, _: [order.decode_order(shown.trace), order.distances(shown.trace)],
        lambda shown: any(step.committed for step in shown.trace.steps),
    ),
    "race": View(
        "Race",
        "Look for where one staircase overtakes another, and whether high steps (many tokens a pass) or short ones "
        "(quick passes) did it.",
        "No pass was made in this lane.",
        race.CAPTIONS,
        lambda shown, options: race.figures(_lanes(shown), **_rule(options)),
    ),
    "gate": View(
        "Quality",
        "Look for struck-out and inserted tokens that belong together: tokens accepted in the same pass did not see "
        "each other, so what depends on each other breaks first.",
        "The answers of this run were not held against the exact decoders. Race the prompt, or decode with AR beside, "
        "to have it done.",
        gate.CAPTIONS,
        lambda shown, _: gate.figures(_lanes(shown)),
        lambda shown: gate.has_gate(_lanes(shown)),
    ),
    "ledger": View(
        "Cache ledger",
        "Look for columns that stay reused for many steps: their keys and values are old, and every token written "
        "since then was unknown to them.",
        "No pass was made in this lane.",
        (
            "What the cache did with every position in every step",
            "Positions recomputed in each step, by reason",
            "Age of every cache entry, in steps",
        ),
        lambda shown, _: [
            ledger.ledger(shown.trace),
            ledger.queries_by_reason(shown.trace),
            ledger.entry_age(shown.trace),
        ],
    ),
    "cost": View(
        "Cost",
        "Look for which kind of bytes is tallest: where it is the weights, eight positions move hardly more than one, "
        "and parallel decoding pays where a machine waits for its memory: under the roof's slope.",
        "This trace was recorded before traces held the sizes of their models, so its passes cannot be priced.",
        (
            "Operations of each step, by part",
            "Bytes moved by each step, by kind",
            "Operations a byte, positions a token",
            "Roofline: operations a second by operations a byte, every pass of every lane",
        ),
        lambda shown, _: [
            *(draw(shown.trace) for draw in (cost.operations, cost.moved, cost.intensity)),
            roofline.roofline(_lanes(shown), shown.trace.environment),
        ],
        lambda shown: cost.has_sizes(shown.trace),
    ),
    "attention": View(
        "Attention",
        "Look for the share that goes to the future: autoregressive decoding has none, and block diffusion reads its "
        "own guesses there. Attention is not explanation.",
        "Attention was not recorded in this lane. Tick “attention” under “Record for the inspector” in the settings "
        "and decode again, or open a recorded run that has it.",
        ("Share of attention to the future, to masks, to the prompt and to written tokens",),
        lambda shown, _: [attention.shares(shown.trace, _maps(shown))],
        lambda shown: shown.maps is not None,
    ),
    "rollout": View(
        "Rollout",
        "Look for bright columns: the few positions that all others draw on, and how little they change from one step "
        "to the next.",
        "Rollout was not recorded in this lane. Tick “rollout” under “Record for the inspector” in the settings, or "
        "choose d²Cache, and decode again.",
        ("Rollout influence of every position in every step", "How much the influence changed since the step before"),
        lambda shown, options: [
            influence.influence(shown.trace, floor=_choice(options, "floor", FLOORS) == FLOORS[0]),
            influence.influence_change(shown.trace),
        ],
        lambda shown: influence.has_rollout(shown.trace),
    ),
    "drift": View(
        "Drift",
        "Look for stars: there a token was committed that fresh keys and values would not have chosen. That is the "
        "price of the cache.",
        "The drift of this lane was not measured. Measuring it decodes once more with a full pass beside every step, "
        "so it takes a while.",
        ("Drift of cached from fresh entries, step by position", "Mean drift by layer"),
        lambda shown, options: [
            drift.drift_sheet(
                _drift(shown),
                what=_choice(options, "what", drift.ENTRIES),
                layer=_layer(options, _drift(shown).keys.shape[1]),
            ),
            drift.drift_depth(_drift(shown), shown.trace),
        ],
        lambda shown: shown.drift is not None,
    ),
}
FLOORS = ("with the identity floor", "without it")
# what can be chosen above a view: option → its values; a number of layers is not known before the run
CHOICES: dict[str, dict[str, tuple[str, ...]]] = {
    "race": race.CHOICES,
    "rollout": {"floor": FLOORS},
    "drift": {"what": drift.ENTRIES},
}


def view(shown: Shown, options: Options) -> dict[str, Any]:
    """The figures of a view, or the sentence that says what is missing."""
    chosen, trace = VIEWS[options["view"]], shown.trace
    cells = len(trace.steps) * max([0, *(step.visible for step in trace.steps)])
    if cells > MAX_CELLS:
        return {"empty": f"This run has {cells:,} cells (steps × positions); pictures are drawn up to {MAX_CELLS:,}."}
    if options["view"] == "drift" and gate.verified(trace):
        return {"empty": drift.NONE, "final": True}
    if not trace.steps or (chosen.needs and not chosen.needs(shown)):
        return {"empty": chosen.empty}
    figures = [spec(figure) for figure in chosen.draw(shown, options)]
    extras = EXTRAS.get(options["view"], lambda *_: {})(shown, options)
    return {"figures": figures, "captions": chosen.captions, **extras}


EXTRAS: dict[str, Draw] = {  # what some views need besides figures
    "race": lambda shown, options: {"note": race.note(_lanes(shown), **_rule(options))},
    "gate": lambda shown, _: {"rows": gate.rows(_lanes(shown))},
    "cost": lambda *_: {"note": FORMULAS},
    "attention": lambda shown, _: {
        "layers": _maps(shown).layers,
        "note": _maps(shown).note,
        "template": spec(attention.template()),
    },
    "rollout": lambda *_: {"note": attention.FLOOR},
    "drift": lambda shown, _: {
        "layers": _drift(shown).keys.shape[1],
        "changes": drift.changes(_drift(shown), shown.trace),
    },
}


def maps_at(shown: Shown, options: Options) -> dict[str, Any]:
    """Attention of one layer at one step, all heads."""
    maps = _maps(shown)
    step = _number(options, "step", len(shown.trace.steps))
    if step not in maps.steps:
        return {"empty": maps.note or "No attention was kept for this step."}
    return attention.picture(shown.trace, maps, step, _number(options, "layer", maps.layers))


def rollout_at(shown: Shown, options: Options) -> dict[str, Any]:
    """Rollout at one step, and who unlocked whom."""
    maps = _maps(shown)
    step = _number(options, "step", len(shown.trace.steps))
    if step not in maps.steps:
        return {"empty": maps.note or "No attention was kept for this step."}
    return attention.rollout_picture(shown.trace, maps, step)


def drift_at(shown: Shown, options: Options) -> dict[str, Any]:
    """Drift at one step, layer by position."""
    step = _number(options, "step", len(shown.trace.steps))
    figure = drift.drift_by_layer(_drift(shown), shown.trace, step, _choice(options, "what", drift.ENTRIES))
    return {"figures": [spec(figure)], "captions": ["Drift at the cursor's step, layer by position"]}


def trajectory(shown: Shown, options: Options) -> dict[str, Any]:
    """The path of one position's key states over the steps."""
    _, layers, positions = _drift(shown).keys.shape
    layer, position = _number(options, "layer", layers), _number(options, "position", positions)
    figure = drift.trajectory(_drift(shown), shown.trace, layer, position)
    return {"figures": [spec(figure)], "captions": [f"Key states of position {position} in layer {layer + 1}"]}


QUESTIONS: dict[str, Draw] = {
    **dict.fromkeys(VIEWS, view),
    "maps": maps_at,
    "rollout_at": rollout_at,
    "drift_at": drift_at,
    "trajectory": trajectory,
}


def answer(shown: Shown, question: Any) -> Mapping[str, Any]:
    """The answer to a question about a lane.

    Raises:
        QuestionError: names what was asked and what can be.
    """
    name = question.get("view") if isinstance(question, Mapping) else None
    if not isinstance(name, str) or name not in QUESTIONS:
        raise QuestionError(f"view is {name!r}; allowed: {', '.join(QUESTIONS)}")
    return QUESTIONS[name](shown, question)


def _lanes(shown: Shown) -> Mapping[str, Trace]:
    """Every lane of the run by its title; a lane that is shown alone is the only one."""
    return shown.lanes or {short_words(shown.trace.settings): shown.trace}


def _rule(options: Options) -> dict[str, bool]:
    """What a race counts; the first of each choice is what the numbers over a lane count."""
    eos, time = (_choice(options, name, values) for name, values in CHOICES["race"].items())
    return {"eos": eos == "yes", "decode_only": time == "decode only"}


def _maps(shown: Shown) -> Maps:
    if shown.maps is None:
        raise QuestionError("attention was not recorded in this lane")
    return shown.maps


def _drift(shown: Shown) -> Drift:
    if shown.drift is None:
        raise QuestionError("the drift of this lane was not measured")
    return shown.drift


def _number(options: Options, name: str, count: int) -> int:
    value = options.get(name)
    if type(value) is not int or not 0 <= value < count:
        raise QuestionError(f"{name} is {value!r}; allowed: 0 to {count - 1}")
    return value


def _layer(options: Options, layers: int) -> int | None:
    """A layer, or None for the mean of all."""
    return None if options.get("layer") is None else _number(options, "layer", layers)


def _choice(options: Options, name: str, allowed: Sequence[str]) -> str:
    value = options.get(name, allowed[0])
    if value not in allowed:
        raise QuestionError(f"{name} is {value!r}; allowed: {', '.join(allowed)}")
    return value
