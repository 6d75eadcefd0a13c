"""Where codes go: files of several formats, and what every sink is."""
