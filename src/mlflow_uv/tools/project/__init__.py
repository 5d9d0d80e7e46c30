"""Reads uv projects from disk, and limits what a checkout may configure."""
