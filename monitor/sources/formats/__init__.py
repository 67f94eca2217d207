"""The forms in which a source writes its records: from bytes to rows of named values."""
