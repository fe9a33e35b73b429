"""A model -> plain facts: its layers, their shapes and weight scales."""

from lightning_gradwatch.anatomy.inspect import inspect_model
from lightning_gradwatch.anatomy.names import named_modules, parameter_names
from lightning_gradwatch.anatomy.sharding import flat_slices, gathered_names

__all__ = ["flat_slices", "gathered_names", "inspect_model", "named_modules", "parameter_names"]
