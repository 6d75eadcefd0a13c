"""The two stages of a search, from the queries to the items that answer them."""
