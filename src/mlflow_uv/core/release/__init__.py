"""Defines the release record, its links and their digests."""
