"""What each pass of a trace cost, from the sizes of its model."""

from dllm.trace import Trace
from dllm.trace.cost import Cost, cost


def has_sizes(trace: Trace) -> bool:
    """Whether the trace holds the sizes of its model, from which passes are priced."""
    return trace.model.sizes is not None


def pass_costs(trace: Trace) -> list[Cost]:
    """The cost of each pass.

    Raises:
        ValueError: the trace does not hold the sizes of its model.
    """
    if trace.model.sizes is None:
        raise ValueError("the trace holds no sizes of its model; allowed: a trace with model.sizes")
    sizes, found = trace.model.sizes, []
    for s in trace.steps:
        found.append(cost(s.query_count, s.attended, len(s.positions) + s.guessing, sizes))
    return found
