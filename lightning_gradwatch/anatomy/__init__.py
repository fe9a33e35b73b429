"""A model -> plain facts: its layers, their shapes and weight scales."""

from lightning_gradwatch.anatomy.inspect import inspect_model, parameter_names

__all__ = ["inspect_model", "parameter_names"]
