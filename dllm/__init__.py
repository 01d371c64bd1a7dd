"""Block-diffusion decoding you can watch.

The ground (step, canvas, settings, files) uses the standard library only. The decoders (decode, verify, unmask, cache/)
decide what is computed and what is committed. May import: numpy; the ground.
"""

__version__ = "0.1.0"
