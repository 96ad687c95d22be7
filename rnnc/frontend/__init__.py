"""From an ONNX file to a network of one step, in four rooms: read, rewrite, recurrence, stream. None imports one after it.

``read.load.load`` reads and simplifies a file, ``stream.streaming.to_stream`` turns it into a Net.
"""
