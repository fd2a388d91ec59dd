"""Which model is trained, whether the memory holds it, and how it is loaded."""
