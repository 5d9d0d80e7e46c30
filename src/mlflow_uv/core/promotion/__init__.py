"""Checks the conditions for promoting and for deleting a version."""
