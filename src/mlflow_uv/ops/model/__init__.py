"""Makes, finds and proves the model of a release."""
