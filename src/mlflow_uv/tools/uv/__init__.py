"""Everything that is asked of uv."""
