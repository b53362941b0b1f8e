"""The version of this package: what `hpe --version` and `welcome` tell.

A constant; any thread may use it.
"""

__version__ = "0.1.0"
