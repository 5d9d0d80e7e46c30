"""Computes the links of a release again from their sources."""
