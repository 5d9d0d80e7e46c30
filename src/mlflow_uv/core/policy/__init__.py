"""The rules that a team sets for its lock."""
