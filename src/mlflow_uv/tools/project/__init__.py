"""uv projects on disk, and what a checkout may name."""
