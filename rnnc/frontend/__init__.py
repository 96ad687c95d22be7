"""From an ONNX file to a network of one step. The only package that imports onnx.

``load.load`` reads and simplifies a file, ``streaming.to_stream`` turns it into a Net.
"""
