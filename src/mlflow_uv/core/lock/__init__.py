"""The lock file: its packages, and what they are on a target."""
