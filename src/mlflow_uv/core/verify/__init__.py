"""Judges whether every way of serving a model gives the answers of training."""
