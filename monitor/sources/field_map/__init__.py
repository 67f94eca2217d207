"""A field map put to work: rows of a source in, canonical JSON out."""
