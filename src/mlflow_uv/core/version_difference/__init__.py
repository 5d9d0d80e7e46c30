"""Compares a version that a pull request released with the champion, for the comment on the pull request."""
