"""The tests. They import onnxruntime, and rnnc before it: nothing leaves the machine here, either."""

import os
import sys

os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # many tests start rnnc anew, which would be compiled each time
sys.dont_write_bytecode = False

import rnnc  # noqa: E402, F401
