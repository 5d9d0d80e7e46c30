"""Compares a lock with the manifests that it was made from."""
