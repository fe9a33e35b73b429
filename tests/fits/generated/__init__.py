"""Fits of all kinds, drawn by hypothesis: what is trained, how, and what stands beside the watch."""
