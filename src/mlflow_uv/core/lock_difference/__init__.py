"""Compares the locks of two commits."""
