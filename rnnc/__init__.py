"""rnnc: trained recurrent networks from ONNX to integer C that runs one time step per call.

package = rnnc.compile_model("fan.onnx", calibration="fan.calib.npz")     # or a torch module and example=x
package.report["verify"]        # what was proven and measured
package.write("fan")            # the C, and report.json
package.simulate(x)             # outputs by name, real units
rnnc.export(module, "fan.onnx", example=x)   # the file of a torch module or a Keras model
rnnc.evaluate(package, x, labels)   # how well it does on other data
"""

from __future__ import annotations

import os

TYPE_CHECKING = False
"""As in ``typing``, the import of which is most of what stands between Python's start and a Ctrl-C that ends well."""

if TYPE_CHECKING:
    from typing import Any

    from rnnc.compiler import build, compile_model, load_net
    from rnnc.errors import RnncError
    from rnnc.evaluation import Evaluation, evaluate
    from rnnc.exporting import export
    from rnnc.linking import compile_linked
    from rnnc.options import Options
    from rnnc.package import Package

__version__ = "0.1.0"
__all__ = [
    "Evaluation",
    "Options",
    "Package",
    "RnncError",
    "__version__",
    "build",
    "compile_linked",
    "compile_model",
    "evaluate",
    "export",
    "load_net",
]

os.environ["ORT_DISABLE_TELEMETRY"] = "1"
"""Nothing leaves the machine. onnxruntime reads it when it is imported, which no module of rnnc does before this one."""

_HOMES = {
    "build": "rnnc.compiler",
    "compile_linked": "rnnc.linking",
    "compile_model": "rnnc.compiler",
    "evaluate": "rnnc.evaluation",
    "Evaluation": "rnnc.evaluation",
    "export": "rnnc.exporting",
    "load_net": "rnnc.compiler",
    "Options": "rnnc.options",
    "Package": "rnnc.package",
    "RnncError": "rnnc.errors",
}


def __getattr__(name: str) -> Any:
    """Import what is asked for only then: ``rnnc --help`` needs none of it."""
    if name not in _HOMES:
        raise AttributeError(f"module 'rnnc' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    """What there is, whether it was asked for or not."""
    return __all__
