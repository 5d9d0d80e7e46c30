"""Decisions about scoring tables: the layout and manifest of an output, and how far a run has got."""
