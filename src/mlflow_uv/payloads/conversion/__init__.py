"""Converts models of scikit-learn, XGBoost and LightGBM to ONNX, and measures the originals."""
