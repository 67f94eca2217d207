"""Which log a topic partition is: its topic's id, and the last record read of it."""
