"""Processes, clocks, file contents and the network."""
