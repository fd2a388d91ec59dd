"""See matplotlib."""


class Axes3D:
    """Cannot be drawn on."""

    def __init__(self, *_: object, **__: object) -> None:
        raise ImportError("plots cannot be drawn in this image: it carries a stand-in for matplotlib")
