"""What children see, what is masked, and how foreign text is read."""
