"""Scores tables: reads them in blocks, predicts in batches, and writes parts."""
