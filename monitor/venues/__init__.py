"""Venue codecs: bytes of a venue's own feed in, canonical events out. One file a venue."""
