"""The outside, one module per program."""
