"""A recorded day under other rules, beside what was."""
