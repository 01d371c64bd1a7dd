"""Networks: weights, attention, sessions on a device. All the torch of decoding is here.

May import: torch, flash_attn, numpy, safetensors, gguf, tokenizers, transformers, huggingface_hub, tqdm; the
decoders, dllm.trace, the ground.
"""

import os

# Before the hub's client is imported, which otherwise describes the machine to the hub with every request
os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
