"""Block-diffusion decoding you can watch: decoders, caches and the record of every step."""

__version__ = "0.1.0"
