"""Reads and writes HTTP: ASGI messages, connections, limits and routes."""
