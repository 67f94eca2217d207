"""brinkwatch: early warning for leveraged venues."""

__version__ = "0.8.0"
