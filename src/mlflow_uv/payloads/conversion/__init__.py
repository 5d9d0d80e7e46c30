"""Converts models of scikit-learn, XGBoost and LightGBM to ONNX and networks to TFLite, and measures the originals."""
