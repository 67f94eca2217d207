"""Protobuf: messages framed with a schema's id, bare, or one after another in a file."""
