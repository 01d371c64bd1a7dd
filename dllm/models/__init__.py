"""All the torch: the network, its families, loading, and the runner that answers plans."""
