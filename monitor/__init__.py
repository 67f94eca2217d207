"""brinkwatch: early warning for leveraged venues."""

__version__ = "0.7.0"
