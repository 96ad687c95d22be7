"""The operations of a step, one file each. Importing the package registers every ``from_node``."""

from importlib import import_module
from pkgutil import iter_modules

for _module in iter_modules(__path__):
    import_module(f"{__name__}.{_module.name}")
