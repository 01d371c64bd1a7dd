"""The heading of a saved run: the app's name and the prompt."""

import re

from dllm.trace import Trace

APP = "Blockscope"
SPECIAL = re.compile(r"<\|[^|>]{1,40}\|>|</?s>|\[/?INST\]")  # tokens of chat templates
_ROLE = re.compile(r"\s*(system|user|assistant)\s*(\n|$)")


def prompt_text(trace: Trace) -> str:
    """The prompt as a reader typed it, the last turn that is not empty.

    Chat templates differ by model, and a trace holds token ids and their texts only; without a turn it is the whole
    prompt.
    """
    whole = trace.text(i for i in trace.prompt if i in trace.pieces)
    turns = [_ROLE.sub("", turn, count=1).strip() for turn in SPECIAL.split(whole)]
    return next((turn for turn in reversed(turns) if turn), whole.strip())
