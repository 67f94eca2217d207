"""A venue's own records, in its own form and names, as the contract's events."""
