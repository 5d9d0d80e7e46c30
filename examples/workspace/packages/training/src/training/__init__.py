"""Trains the wine classifier."""
