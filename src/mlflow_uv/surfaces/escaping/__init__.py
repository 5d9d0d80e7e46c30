"""Escapes text from outside for each medium: workflow commands and Markdown."""
