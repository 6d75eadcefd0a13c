"""The way to Redis: addresses, connections to one server, a cluster or what Sentinels watch, and errors."""
