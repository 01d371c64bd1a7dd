"""How the default model's adapters are made: data, objectives, and the loop that trains.

May import: torch, flash_attn, numpy, safetensors, gguf, tokenizers, transformers, huggingface_hub, tqdm,
pydantic; dllm.models, the decoders, dllm.trace, the documents of dllm.bench, dllm.training.tasks, the
ground.
"""
