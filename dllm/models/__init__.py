"""All the torch: the network, its families, loading, and the runner that answers plans."""

import os

# Before the hub's client is imported, which otherwise describes the machine to the hub with every request
os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
