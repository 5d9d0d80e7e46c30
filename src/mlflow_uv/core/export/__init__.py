"""Renders and parses requirements files and pylock.toml files made from a lock."""
