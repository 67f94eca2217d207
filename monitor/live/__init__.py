"""The sidecar at work: sessions of shards and of the venue stage, and which member has which."""
