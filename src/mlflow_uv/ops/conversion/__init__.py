"""Converts a registered version, measures its parity, and publishes the result."""
