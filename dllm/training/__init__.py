"""Converts an autoregressive model to block diffusion: its own answers as data, LoRA, the Fast-dLLM v2 objective."""
