"""What may stand beside the watch: other callbacks, loggers, precision plugins."""

import importlib

import torch

BESIDE = {
    "nothing": lambda c, folder: [],
    "LearningRateMonitor": lambda c, folder: [c.LearningRateMonitor("step")],
    "StochasticWeightAveraging": lambda c, folder: [c.StochasticWeightAveraging(swa_lrs=0.01, swa_epoch_start=1)],
    "WeightAveraging": lambda c, folder: [c.WeightAveraging()] if hasattr(c, "WeightAveraging") else [],
    "EMAWeightAveraging": lambda c, folder: (
        [c.EMAWeightAveraging(decay=0.9)] if hasattr(c, "EMAWeightAveraging") else []
    ),
    "Timer": lambda c, folder: [c.Timer()],
    "ModelCheckpoint": lambda c, folder: [c.ModelCheckpoint(folder, "{step}", every_n_train_steps=2, save_top_k=-1)],
    "EarlyStopping": lambda c, folder: [c.EarlyStopping("train_loss", patience=1)],
    "ModelPruning": lambda c, folder: [c.ModelPruning("l1_unstructured", amount=0.3)],
    "BackboneFinetuning": lambda c, folder: [c.BackboneFinetuning(1, lambda epoch: 1.5, verbose=False)],
    "GradientAccumulationScheduler": lambda c, folder: [c.GradientAccumulationScheduler({0: 2, 1: 3})],
    "LearningRateFinder": lambda c, folder: [c.LearningRateFinder(num_training_steps=4)],
    "BatchSizeFinder": lambda c, folder: [c.BatchSizeFinder(max_trials=2, steps_per_trial=2, init_val=4)],
    "a callback that logs norms": lambda c, folder: [_norms(c.Callback)()],
}
NEEDS_LOGGER = ("LearningRateMonitor",)
# Each swaps parameters or optimizers for its own, so that only the plain case of everything else makes sense.
PARTICULAR = ("StochasticWeightAveraging", "ModelPruning", "BackboneFinetuning", "LearningRateFinder")

LOGGERS = {
    "no logger": lambda loggers, folder: False,
    "CSV": lambda loggers, folder: loggers.CSVLogger(folder),
    "TensorBoard": lambda loggers, folder: loggers.TensorBoardLogger(folder),
    "both": lambda loggers, folder: [loggers.CSVLogger(folder), loggers.TensorBoardLogger(folder)],
}
# The last two: gradients are multiplied; by so much that the first steps overflow and are skipped.
PRECISIONS = ("32-true", "64-true", "bf16-mixed", "bf16-true", "16-mixed", "16-mixed, overflowing")


def precision(namespace, name):
    """Options of the Trainer."""
    if not name.startswith("16-mixed"):
        return {"precision": name}
    plugins = importlib.import_module(f"{namespace}.plugins.precision")
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0**20 if "overflowing" in name else 2.0**8, growth_interval=3)
    return {"plugins": [plugins.MixedPrecision("16-mixed", "cpu", scaler)]}


def _norms(base):
    class Norms(base):
        """What many projects have: the norm of all gradients, logged before the step."""

        def on_before_optimizer_step(self, trainer, pl_module, optimizer):
            norms = [p.grad.float().norm() for p in pl_module.parameters() if p.grad is not None]
            pl_module.log("own_norm", torch.stack([n.abs() for n in norms]).norm() if norms else 0.0)

    return Norms
