"""Talks to platforms that serve models, by their client libraries."""
