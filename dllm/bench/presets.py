"""Presets of what is measured of a device: ways of decoding as settings, and how much of each."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from dllm.bench.hardware import Way
from dllm.settings import VERIFY, Choice, Settings
from dllm.step import Kind

ONE = Choice("top_k", {"k": 1})
# kinds of passes, their queries, and what decodes in such passes
PASSES: dict[tuple[Kind, int], Settings] = {
    ("ar", 1): Settings(block_size=1, unmask=ONE),
    ("denoise", 32): Settings(block_size=32, cache=Choice("block"), unmask=ONE),
    ("denoise", 8): Settings(block_size=32, sub_block_size=8, cache=Choice("sub_block"), unmask=ONE),
}
_8 = Settings(block_size=8, sub_block_size=8)
_32_8 = Settings(block_size=32, sub_block_size=8, cache=Choice("sub_block"))
_32 = Settings(block_size=32, sub_block_size=32, cache=Choice("block"))
_FULL = Settings(attention="bidirectional", block_size=32, unmask=ONE)
SURE = Choice("threshold", {"threshold": 0.9})
TWO, THREE = Choice("top_k", {"k": 2}), Choice("top_k", {"k": 3})
SETTINGS: Mapping[Way, Settings] = {
    Way.AR: Settings(block_size=1),
    Way.VERIFIED_1: Settings(unmask=Choice(VERIFY, {"drafts": 1})),
    Way.VERIFIED_2: Settings(unmask=Choice(VERIFY)),
    Way.VERIFIED_2_ALL: Settings(unmask=Choice(VERIFY, {"least": 0.0})),
    Way.BLOCK_8: replace(_8, unmask=SURE),
    Way.BLOCK_8_K2: replace(_8, unmask=TWO),
    Way.BLOCK_8_K3: replace(_8, unmask=THREE),
    Way.BLOCK_32_8: replace(_32_8, unmask=SURE),
    Way.BLOCK_32_8_K2: replace(_32_8, unmask=TWO),
    Way.BLOCK_32_8_K3: replace(_32_8, unmask=THREE),
    # 12 passes write a block of 32: its first token, 11 times three at most, and what encodes it. That is 2.67 tokens a
    # pass, the nearest a whole number comes to the 2.64 that Fast-dLLM v2 reports at threshold 0.9.
    Way.BLOCK_32_K3: replace(_32, unmask=THREE),
    Way.NO_CACHE: replace(_FULL, cache=Choice("none")),
    Way.D2: replace(_FULL, cache=Choice("d2")),
}


@dataclass(frozen=True, slots=True)
class Preset:
    """What is measured of each network.

    Attributes:
        networks: by name.
        widths: queries of the passes that are timed, see `PASSES`.
        ways: under block-causal or hybrid attention, at each of `batches`; verified ones where the model has them.
        full: under full attention, one answer at a time.
        prompt: a text, or how many tokens, which are then drawn by a seed.
        answer, full_answer: most tokens of an answer.
        endless: whether no stop token ends an answer.
        in_turns: whether all rows of a batch size take turns within a round. If not, each has the memory alone.
        batches: how many answers are decoded together.
        rounds: how often each pass and rate is timed.
        patience: seconds of decoding after which rows are not timed again, short of `rounds`.
    """

    networks: tuple[str, ...]
    widths: tuple[int, ...]
    ways: tuple[Way, ...]
    full: tuple[Way, ...]
    prompt: str | int
    answer: int
    full_answer: int
    endless: bool
    in_turns: bool
    batches: tuple[int, ...]
    rounds: int
    patience: float

    def __post_init__(self) -> None:
        if not 1 <= self.rounds <= 1000:
            raise ValueError(f"rounds is {self.rounds}; allowed: 1 to 1000")


CPU = Preset(
    networks=("default",),
    widths=(1, 8),
    ways=tuple(way for way in Way if way not in (Way.BLOCK_32_K3, Way.NO_CACHE, Way.D2)),
    full=(),
    prompt="Tell me a short story about a lost cat.",
    answer=48,
    full_answer=48,
    endless=False,
    in_turns=True,
    batches=(1,),
    rounds=3,
    patience=float("inf"),
)
GPU = Preset(
    # the largest first: if the run is cut off, the most telling part is there
    networks=(
        "random:Efficient-Large-Model/Fast_dLLM_v2_7B",
        "random:Efficient-Large-Model/Fast_dLLM_v2_1.5B",
        "random:GSAI-ML/LLaDA-8B-Instruct",
    ),
    widths=(1, 32, 8),
    ways=(Way.AR, Way.BLOCK_32_K3),
    full=(Way.NO_CACHE, Way.D2),
    prompt=256,
    answer=512,
    full_answer=256,
    endless=True,
    in_turns=False,
    batches=(1, 2, 4, 8, 16, 32, 64),
    rounds=3,
    patience=5.0,
)
