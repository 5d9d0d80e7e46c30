"""Signs versions, keeps the attestations, and verifies them for every step that uses a version."""
