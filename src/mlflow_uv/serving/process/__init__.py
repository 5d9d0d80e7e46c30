"""Runs the workers of the server: processors, sockets, forks and draining."""
