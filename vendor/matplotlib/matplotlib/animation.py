"""See the package."""

from matplotlib import __getattr__  # noqa: F401 - what this module offers: an error that explains
