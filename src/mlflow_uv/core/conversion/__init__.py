"""Compares a converted model with the original, explains refusals, and renders the files of an edge bundle."""
