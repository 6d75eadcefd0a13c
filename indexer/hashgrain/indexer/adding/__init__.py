"""The way of items into an index: one batch after another, or a whole collection at once; buckets split and merge."""
