"""Standalone: signs statements and verifies bundles, in an environment with sigstore and model-signing."""
