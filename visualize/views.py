"""The views of the inspector, and the answers to what the page asks about a lane: pure functions of its record.

A question is plain JSON: {"view": a name, and its options}; an answer is plain JSON too. The app answers live, an
exported page carries the answers with it.
"""

from collections.abc import Mapping
from typing import Any

from visualize.charts import attention, drift, ledger, order, race, roofline, score
from visualize.charts import quality as gate
from visualize.charts import rollout as influence
from visualize.view import LaneData, QuestionError, Reply, View

VIEWS: dict[str, View] = {  # in the order of the tabs
    "score": score.VIEW,
    "order": order.VIEW,
    "race": race.VIEW,
    "gate": gate.VIEW,
    "ledger": ledger.VIEW,
    "cost": roofline.VIEW,
    "attention": attention.VIEW,
    "rollout": influence.VIEW,
    "drift": drift.VIEW,
}
QUESTIONS: dict[str, Reply] = {
    **{name: view.answer for name, view in VIEWS.items()},
    **{name: reply for view in VIEWS.values() for name, reply in view.details.items()},
}


def answer_question(lane: LaneData, question: Any) -> Mapping[str, Any]:
    """The answer to a question about a lane.

    Raises:
        QuestionError: names what was asked and what can be.
    """
    name = question.get("view") if isinstance(question, Mapping) else None
    if not isinstance(name, str) or name not in QUESTIONS:
        raise QuestionError(f"view is {name!r}; allowed: {', '.join(QUESTIONS)}")
    return QUESTIONS[name](lane, question)
