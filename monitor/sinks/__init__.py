"""Where alerts go. One file a sink."""
