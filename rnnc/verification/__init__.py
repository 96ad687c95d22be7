"""Proof by running: onnxruntime as the reference, the generated C on the host, and the figures of their differences."""
