"""Limits the size of the files of a checkout that are read. Imports nothing, for hooks."""

MANIFEST_LIMIT = 1_000_000  # bytes of a pyproject.toml or uv.toml
LOCK_LIMIT = 100_000_000  # bytes of a uv.lock, a pylock.toml or a bill of materials
