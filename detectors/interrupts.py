"""What is no fault of a detector, where all else that it raises is caught."""

from __future__ import annotations


def reraise_interrupts(error: BaseException) -> None:
    """Let pass what is no fault of a detector, where `BaseException` is caught for Rust's panics:
    the user's interrupt and exit, and want of memory."""
    if isinstance(error, KeyboardInterrupt | SystemExit | MemoryError):
        raise error
