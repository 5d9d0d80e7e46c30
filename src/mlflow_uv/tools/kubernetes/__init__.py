"""Calls kubectl."""
