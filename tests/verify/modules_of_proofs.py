"""A LightningModule around a network, with an optimizer of one's own."""

from torch.nn.functional import cross_entropy

from lightning_gradwatch import _lightning


def module_with(network, optimizer):
    class Module(_lightning.namespace().LightningModule):
        def __init__(self):
            super().__init__()
            self.network = network

        def training_step(self, batch, batch_idx):
            return cross_entropy(self.network(batch[0]), batch[1])

        def configure_optimizers(self):
            return optimizer(self.network.parameters())

    return Module()
