"""Processes, clocks, files' contents and the network."""
