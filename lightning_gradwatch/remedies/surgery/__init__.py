"""How a live network is edited, and how every edit is taken back.

A treatment says what to change; here is what all of them share: the ``Edit`` that it works with, the ``Keepsake`` that
an undo restores, the parameters that optimizers adopt, the marker in a treated network's state.
"""
