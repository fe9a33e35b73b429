"""How a live network is edited, and how every edit is taken back.

A treatment says what to change; here is what all of them share: the ``Edit`` that it works with, the ``Keepsake`` that
an undo restores, the parameters that optimizers adopt, the marker in a treated network's state.

Which layer follows which is found in two ways.  ``flow`` (with ``reading``, ``expressions`` and ``calling``) reads
the source of ``forward``: it runs nothing, knows functional activations and gates, and is for what asks which
activation a layer feeds or which layer sees the input: ``ReplaceActivation``, ``Initialize``, ``ScaleInput``.
``trace`` lets torch.fx go through the network: it knows the operations between two layers and what is used twice, and
is for edits that come between layers: ``AddResidual``, ``InsertNormalization``.  Code that fx cannot follow can often
be read, and code whose source is not to be had can often be traced.
"""
