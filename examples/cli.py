"""LightningCLI with GradWatch from YAML, around the language models of ``lightning.pytorch.demos``.

pip install lightning-gradwatch lightning "jsonargparse[signatures]"
python examples/cli.py fit --config examples/cli.yaml
python examples/cli.py fit --config examples/cli.yaml --model DemoLSTM --trainer.gradient_clip_val 0.25
"""

import torch
from lightning.pytorch import LightningDataModule
from lightning.pytorch.cli import LightningCLI
from lightning.pytorch.demos.lstm import LightningLSTM
from lightning.pytorch.demos.transformer import LightningTransformer
from torch.utils.data import DataLoader, TensorDataset

LETTERS = 128  # ASCII


class PythonDocs(LightningDataModule):
    """The language reference that ships with Python, as sequences of letters: (batch, length), (batch, length)."""

    def __init__(self, length: int = 35, batch_size: int = 20, sequences: int = 2000) -> None:
        super().__init__()
        self.length, self.batch_size, self.sequences = length, batch_size, sequences

    def train_dataloader(self) -> DataLoader[tuple[torch.Tensor, ...]]:
        """Sequences, and the same one letter later."""
        from pydoc_data.topics import topics

        text = "".join(topics[name] for name in sorted(topics)).encode("ascii", "ignore")
        letters = torch.tensor(list(text[: self.sequences * self.length + 1]))
        inputs, targets = (part.view(-1, self.length) for part in (letters[:-1], letters[1:]))
        return DataLoader(TensorDataset(inputs, targets), self.batch_size, shuffle=True, drop_last=True)


class WithoutDownload:
    """The demos would fetch a corpus from the network; PythonDocs is on every machine already."""

    def prepare_data(self) -> None:
        """Nothing to fetch."""


class DemoTransformer(WithoutDownload, LightningTransformer):
    """Lightning's demo Transformer, over letters."""

    def __init__(self, vocab_size: int = LETTERS) -> None:
        super().__init__(vocab_size)


class DemoLSTM(WithoutDownload, LightningLSTM):
    """Lightning's demo LSTM, over letters."""

    def __init__(self, vocab_size: int = LETTERS) -> None:
        super().__init__(vocab_size)


if __name__ == "__main__":
    LightningCLI(datamodule_class=PythonDocs, subclass_mode_model=True)
