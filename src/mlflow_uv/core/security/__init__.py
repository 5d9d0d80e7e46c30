"""Filters the environment of child processes, masks secrets, and parses untrusted documents."""
