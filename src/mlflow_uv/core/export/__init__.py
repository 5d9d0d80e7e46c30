"""Requirements files and pylock.toml files made from a lock."""
