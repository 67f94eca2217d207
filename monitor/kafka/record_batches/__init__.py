"""Kafka's record batches as columns, without a Python object for each record."""
