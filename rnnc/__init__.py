"""rnnc: trained recurrent networks from ONNX to integer C that runs one time step per call."""

__version__ = "0.1.0"
