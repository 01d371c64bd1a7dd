"""The command line: each command with its own arguments. It reads them and prints.

May import: visualize, dllm.training, dllm.training.tasks, dllm.bench, the documents of dllm.bench, dllm.engine,
dllm.models, the decoders, dllm.trace, the ground.
"""

from dllm.cli.main import main

__all__ = ["main"]
