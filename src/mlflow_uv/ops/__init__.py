"""What several steps share, by capability."""
