"""
Standalone programs for a device: they need numpy and one of onnxruntime and ai-edge-litert alone.

`score.py` is a part of each bundle; `measure.py` compares with it. `tflite_flavor.py` loads it for MLflow.
"""
