"""Verified decoding: self-speculative decoding with masks as the drafter. The answer is AR's, several tokens a pass.

Under hybrid attention known tokens are AR's, keys and values included. So one pass over the last verified token and the
drafts behind it gives AR's token after each of them (speculative decoding, arXiv 2211.17192, with the model as its own
drafter), and masks in the same pass, a group behind every prefix of the drafts, guess what comes next in the case that
exactly that many drafts are right (relatives: arXiv 2507.11851, 2604.11035). A draft is the likeliest guess, so
"draw AR's token; keep the draft if it is the same" is speculative sampling exactly: at any temperature what is written
is distributed as AR's, and at 0 it is AR's answer token for token.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import prod
from time import perf_counter

import numpy as np

from dllm.decode import ModelTraits, make_canvas
from dllm.settings import Settings
from dllm.step import Case, Layout, Plan, Readout, Step
from dllm.unmask import UNMASKS, Verify


@dataclass(frozen=True, slots=True)
class _MaskGroup:
    """Masks for the case that the first `right` drafts are right: they stand from `position` on, `size` of them."""

    right: int
    position: int
    size: int


class VerifiedDecoder:
    """Decodes one sequence; same interface as `Decoder`."""

    needs_entropy = needs_margin = needs_rollout = False

    def __init__(self, prompt: Sequence[int], settings: Settings, traits: ModelTraits) -> None:
        """`settings` must be resolved.

        Raises:
            SettingsError: the prompt does not suit the model.
        """
        assert settings.cache is not None
        self.rule: Verify = settings.rule.build(UNMASKS, "unmask")
        self.keeps = settings.cache.name != "none"
        self.canvas = make_canvas(prompt, settings, traits)
        self.index = 0
        self.drafts: list[int] = []
        self._sure: list[float] = []  # of each draft, that it is right if those before it are
        self._encoded = 0  # entries [0, _encoded) are those of verified tokens
        self._pending: tuple[Plan, list[_MaskGroup]] | None = None
        self._began = 0.0

    @property
    def scratch(self) -> int:
        """Entries that masks may take besides those of the canvas."""
        return (self.rule.drafts + 1) * self.rule.drafts

    def plan(self) -> Plan | None:
        """The next forward pass, or None when the answer is written."""
        self._began = perf_counter()
        canvas = self.canvas
        if canvas.stop_reason:
            return None
        known = canvas.written
        start = min(self._encoded, known - 1) if self.keeps else 0
        groups = self._groups(known)
        masks = [p for group in groups for p in range(group.position, group.position + group.size)]
        tested = range(known, known + len(self.drafts))
        queries = [*range(start, tested.stop), *masks]
        hidden = range(len(queries) - len(masks), len(queries))
        layout = Layout(
            self._sees(groups, start, known, len(queries)),
            masks=hidden,
            slots=range(start, start + len(queries)),
            rows=[*range(known - 1 - start, hidden.start), *hidden],
            guesses=len(masks),
        )
        plan = Plan(
            queries,
            [*canvas.ids[start:known], *self.drafts, *[canvas.ids[p] for p in masks]],
            start + len(queries),
            (*range(known, tested.stop + 1), *(p + 1 for p in masks)),
            "denoise",
            layout=layout,
        )
        self._pending = plan, groups
        return plan

    def apply(self, readout: Readout) -> Step:
        """Accept the drafts that match AR's tokens, plus AR's next token; the guesses behind are the next drafts."""
        assert self._pending is not None, "apply() needs a plan()"
        plan, groups = self._pending
        canvas, tested = self.canvas, tuple(self.drafts)
        asked = len(tested) + 1
        said = readout.tokens[:asked]
        right = next((i for i, draft in enumerate(tested) if draft != said[i]), len(tested))
        known = canvas.written
        committed = tuple(range(known, known + right + 1))
        for p, token in zip(committed, said, strict=False):
            canvas.commit(p, token)
        self._encoded = known + right
        cases = _cases(groups, readout, asked)
        self._draft(next((case for case in cases if case.right == right), None))
        step = Step(
            self.index,
            (known, known + asked),
            (known, known + asked),
            plan,
            _first(readout, asked),
            committed,
            tuple(range(known + right, known + len(tested))),
            perf_counter() - self._began - readout.overhead,
            tested,
            cases,
        )
        self.index += 1
        self._pending = None
        return step

    def _groups(self, known: int) -> list[_MaskGroup]:
        """A group of masks for every case that is likely enough.

        The last position needs no guess: the pass that would test it predicts it.
        """
        found = []
        for right in range(len(self.drafts) + 1):
            size = min(self.rule.drafts, self.canvas.end - 2 - known - right)
            if size > 0 and self._chance(right) >= self.rule.least:
                found.append(_MaskGroup(right, known + right, size))
        return found

    def _chance(self, right: int) -> float:
        """The probability that exactly `right` drafts are right, as the masks saw it."""
        wrong = 1 - self._sure[right] if right < len(self._sure) else 1.0
        return prod(self._sure[:right]) * wrong

    def _sees(self, groups: Sequence[_MaskGroup], start: int, known: int, count: int) -> np.ndarray:
        """The attention mask: known tokens and drafts are causal; masks see their case's prefix and their group."""
        visible, text = start + count, known + len(self.drafts)
        sees = np.tri(count, visible, start, dtype=bool)
        row = text - start
        for group in groups:
            rows = slice(row, row + group.size)
            sees[rows] = np.arange(visible) < group.position
            sees[rows, start + row : start + row + group.size] = True
            row += group.size
        return sees

    def _draft(self, case: Case | None) -> None:
        """Take guesses up to a stop token, as long as they are likely enough to be tested."""
        self.drafts, self._sure = [], []
        if case is None:
            return
        for token, sure in zip(case.tokens, case.confidence, strict=True):
            if token in self.canvas.stop_ids or prod(self._sure) * sure < self.rule.least:
                return
            self.drafts.append(token)
            self._sure.append(sure)


def _cases(groups: Sequence[_MaskGroup], readout: Readout, start: int) -> tuple[Case, ...]:
    """What each group guessed, from a readout whose guesses begin at `start`."""
    cases = []
    for group in groups:
        part = slice(start, start + group.size)
        cases.append(Case(group.right, group.position + 1, readout.tokens[part], readout.confidence[part]))
        start += group.size
    return tuple(cases)


def _first(readout: Readout, count: int) -> Readout:
    """The part of a readout that holds AR's tokens."""
    rows = readout.alternatives
    return replace(
        readout,
        positions=readout.positions[:count],
        tokens=readout.tokens[:count],
        confidence=readout.confidence[:count],
        alternatives=None if rows is None else rows[:count],
    )
