"""Declares steps and what they report."""
