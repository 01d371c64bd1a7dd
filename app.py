"""Blockscope's page. `python app.py` serves it on 127.0.0.1:7860; a Space imports `demo`."""

import os

os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")  # before gradio is imported

from app.page import build, launch_kwargs

demo = build()

if __name__ == "__main__":
    demo.launch(**launch_kwargs())
