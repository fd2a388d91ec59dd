"""Importable, and nothing else: the container images carry no plotting library."""


def __getattr__(name: str) -> object:
    if name.startswith("__"):
        raise AttributeError(name)
    raise ImportError("plots cannot be drawn in this image: it carries a stand-in for matplotlib")
