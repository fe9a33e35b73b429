"""Tensors -> numbers: the gradient ledger, the parameter meter, the update meter, and when to use them.

A new statistic of parameters goes to ``parameters.py``, one of activations to ``activations.py``.  Tensors stop here:
what leaves this folder is records.
"""
