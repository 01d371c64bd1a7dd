"""What drives decoders: names become models, requests become runs, and runs share passes.

May import: numpy; dllm.models, the decoders, dllm.trace, the ground.
"""

from dllm.engine.engine import Engine

__all__ = ["Engine"]
