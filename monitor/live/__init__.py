"""The sidecar at work: the lives of shards and of the venue stage, and who has which."""
