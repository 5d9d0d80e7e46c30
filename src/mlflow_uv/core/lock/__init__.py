"""Reads uv.lock and answers which of its packages install on a target."""
