"""Watches how gradients flow through any PyTorch Lightning fit: whether they die, where, why, and what to do."""
