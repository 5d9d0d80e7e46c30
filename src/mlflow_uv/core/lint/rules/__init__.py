"""The rules of `lint`, one module each; its RULE is the declaration."""
