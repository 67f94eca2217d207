"""The sidecar's side of Kafka: topics, reading, transactions, snapshots."""
