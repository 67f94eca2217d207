"""The engine: a pure function of the set of records. No clock, no I/O, no logging in here."""
