"""Writes the report on a registered version as a page."""
