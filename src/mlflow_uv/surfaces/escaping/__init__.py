"""Escapes text from outside for workflow commands."""
