"""The tests. They import onnxruntime, and rnnc before it: nothing leaves the machine here, either."""

import rnnc  # noqa: F401
