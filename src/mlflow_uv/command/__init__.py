"""How a step is declared and how it reports."""
