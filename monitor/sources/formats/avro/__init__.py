"""Avro: records in binary form, one by one or in object container files."""
