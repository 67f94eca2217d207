"""A replay in several processes: shards in workers, the venue stage here."""
