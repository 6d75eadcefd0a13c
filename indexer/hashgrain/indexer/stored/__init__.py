"""What Redis holds: keys, headers, buckets of records, partitions, handles and payloads; one shard of it."""
