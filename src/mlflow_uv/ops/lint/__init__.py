"""Reads the files of a project for the rules of `core.lint`, and changes them."""
