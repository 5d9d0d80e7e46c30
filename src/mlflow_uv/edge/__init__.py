"""
Standalone programs for a device: they need onnxruntime and numpy alone.

`score.py` is a part of each bundle; `measure.py` compares with it.
"""
