"""Recomputes the links of a release from their sources."""
