"""Clients of the platforms that serve models."""
