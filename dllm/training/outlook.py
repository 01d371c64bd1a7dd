"""How many passes drafts would save in decoding, from the guesses behind every place of an answer. No network."""

from collections.abc import Sequence
from dataclasses import dataclass

DRAFT_COUNTS = (1, 2, 3, 4)
TRUST_THRESHOLDS = (0.5, 0.7, 0.9)


@dataclass(frozen=True, slots=True)
class Guessed:
    """An answer, and for each of its places the tokens guessed beyond AR's next token, with their probabilities.

    tokens[n][d] is a guess of answer[n + 1 + d], made when answer[:n] was known.
    """

    answer: Sequence[int]
    tokens: Sequence[Sequence[int]]
    confidence: Sequence[Sequence[float]]

    def hits(self, place: int) -> list[bool]:
        """Which guesses of a place are right, as far as the answer goes."""
        return [a == b for a, b in zip(self.tokens[place], self.answer[place + 1 :], strict=False)]

    def passes(self, drafts: int) -> int:
        """Forward passes of verified decoding: each writes AR's token and the drafts before the first wrong one.

        An answer's last token is never a draft but AR's own.
        """
        place, count = 0, 0
        while place < len(self.answer):
            run, most = 1, min(drafts, len(self.answer) - place - 2)
            for hit in self.hits(place)[: max(0, most)]:
                if not hit:
                    break
                run += 1
            place, count = place + run, count + 1
        return count

    def trusting(self, threshold: float) -> tuple[int, int, int]:
        """Passes where guesses above a threshold are kept unverified, how many are kept, and how many of them miss."""
        place, passes, kept, wrong = 0, 0, 0, 0
        while place < len(self.answer):
            hits, run = self.hits(place), 1
            for hit, sure in zip(hits, self.confidence[place], strict=False):
                if sure <= threshold:
                    break
                run, kept, wrong = run + 1, kept + 1, wrong + (not hit)
            place, passes = place + run, passes + 1
        return passes, kept, wrong


def outlook(answers: Sequence[Guessed]) -> dict[str, object]:
    """Over all answers: how often guesses hit by depth, tokens a pass verified by drafts, and unverified by threshold.

    The first guess of an answer's first place comes with the pass that reads the prompt, which is counted.
    """
    hits = [hits for a in answers for place in range(len(a.answer)) if (hits := a.hits(place))]
    depth = max(map(len, hits))
    by_depth = [[h[d] for h in hits if len(h) > d] for d in range(depth)]
    tokens = sum(len(a.answer) for a in answers)
    trusting = {
        t: [sum(column) for column in zip(*(a.trusting(t) for a in answers), strict=True)] for t in TRUST_THRESHOLDS
    }
    return {
        "accuracy": [round(sum(column) / len(column), 4) for column in by_depth],
        "verified": {str(n): round(tokens / sum(a.passes(n) for a in answers), 4) for n in DRAFT_COUNTS if n <= depth},
        "trusting": {
            str(t): {"tokens_a_pass": round(tokens / passes, 4), "kept": kept, "wrong": wrong}
            for t, (passes, kept, wrong) in trusting.items()
        },
        "tokens": tokens,
    }
