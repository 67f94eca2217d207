"""Commands that read or write the topics of Kafka."""
