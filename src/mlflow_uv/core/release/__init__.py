"""The release record, its links and their digests."""
