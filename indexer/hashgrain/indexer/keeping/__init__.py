"""What a searcher keeps between searches, and how Redis tells it of changes."""
