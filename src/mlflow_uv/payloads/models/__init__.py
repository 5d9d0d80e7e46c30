"""Logs, finds and reads models, and computes their answers."""
