"""Which lane was faster, in a sentence that hides nothing."""

from visualize.tally import Tally

TIE = 0.03  # a difference that one run on a shared machine cannot show


def verdict(diffusion: Tally, ar: Tally) -> str:
    """Compare two finished lanes by tokens per second, and say what the passes were worth."""
    ours, theirs = diffusion.tokens_per_second, ar.tokens_per_second
    if not (ours and theirs):
        return ""
    passes = _passes(diffusion, ar)
    if abs(ours - theirs) <= TIE * theirs:
        return f"Equally fast here: {ours:.1f} tokens per second by block diffusion, {theirs:.1f} by AR. " + passes
    if ours > theirs:
        opening = f"Block diffusion was faster here: {ours:.1f} tokens per second, {ours / theirs:.2f} times AR's"
        return f"{opening} {theirs:.1f}. {passes}"
    opening = f"AR was faster here: {theirs:.1f} tokens per second, {theirs / ours:.2f} times block diffusion's"
    return f"{opening} {ours:.1f}. {passes}"


def _passes(diffusion: Tally, ar: Tally) -> str:
    """What a pass brought and what it cost."""
    cost = (diffusion.seconds / diffusion.passes) / (ar.seconds / ar.passes)
    return (
        f"A diffusion pass wrote {diffusion.tokens_per_pass:.2f} tokens on average and took {cost:.2f} times as long "
        f"as an AR pass, which wrote {ar.tokens_per_pass:.2f}."
    )
