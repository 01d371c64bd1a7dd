"""Variables that libraries read as they are imported. Each is set only where the user has not set it."""

import os

from app.folders import parent


def prepare() -> None:
    """Set them. To be called before gradio and torch are imported.

    GRADIO_ANALYTICS_CACHE_FREQUENCY: after that many requests gradio sums up all earlier ones with pandas; by default
    after each, also while others are timed. GRADIO_TEMP_DIR: uploads lie beside the runs' folders.
    GOMP_SPINCOUNT: threads of torch that wait for each other spin at most this often. By default they spin for long,
    which is a fifth faster on a quiet machine, and several times slower as soon as anything else wants their core.
    """
    os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")
    os.environ.setdefault("GRADIO_ANALYTICS_CACHE_FREQUENCY", str(2**31))
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    os.environ.setdefault("GRADIO_TEMP_DIR", str(parent() / "uploads"))
    if "OMP_WAIT_POLICY" not in os.environ:
        os.environ.setdefault("GOMP_SPINCOUNT", "1000")
