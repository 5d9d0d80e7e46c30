"""Asks package indexes about released files."""
