"""Checks and explains locks, and exports them."""
