"""Describes a logged model: its files, signature, answers and errors."""
