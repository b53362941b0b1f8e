"""The version of this package: what `hpe --version` and `welcome` tell."""

__version__ = "0.1.0"
