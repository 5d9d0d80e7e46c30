"""Finds out how a project trains."""
