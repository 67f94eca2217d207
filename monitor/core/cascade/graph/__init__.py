"""Many markets at once: accounts and indices that carry a move from one into another."""
