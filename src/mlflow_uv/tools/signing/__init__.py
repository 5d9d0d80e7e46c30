"""Runs the program that signs and verifies."""
