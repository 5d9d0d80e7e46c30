"""Interface to git."""
