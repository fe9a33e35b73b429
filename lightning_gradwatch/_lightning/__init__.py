"""Everything that depends on how Lightning is built: both namespaces, and the trainer's private corners.

Nothing outside this folder imports Lightning or touches an underscore of a trainer, so that a new Lightning version is
one folder to look at.  Every function takes a trainer of either namespace and asks it, never ``isinstance``.
"""

from lightning_gradwatch._lightning.data import reads_once, training_batches
from lightning_gradwatch._lightning.namespaces import (
    NAMESPACES,
    callback_bases,
    callback_in_both,
    callback_when_imported,
    namespace,
    namespace_of,
)
from lightning_gradwatch._lightning.networks import (
    builds_late,
    engine,
    engine_norm,
    hindrance,
    holds_copy,
    unwrapped_module,
    was_fitted,
    wrap_again,
)
from lightning_gradwatch._lightning.optimizers import optimizers_of, rename_wrappers, unwrapped
from lightning_gradwatch._lightning.scale import (
    gradient_scale,
    has_scaler,
    loss_divisor,
    loss_node,
    loss_scale,
    loss_value,
    scale_left,
    scaler_of,
)
from lightning_gradwatch._lightning.telling import publish, say, versions
from lightning_gradwatch._lightning.time import (
    completes_window,
    is_checked_after,
    is_last_step,
    is_out_of_patience,
    planned_steps,
    step_of,
)
from lightning_gradwatch._lightning.together import (
    any_process,
    any_rank,
    from_rank_zero,
    is_rank_zero,
    mean_over_ranks,
    processes,
    ranks,
)
from lightning_gradwatch._lightning.training import rehearsal

__all__ = [
    "NAMESPACES",
    "any_process",
    "any_rank",
    "builds_late",
    "callback_bases",
    "callback_in_both",
    "callback_when_imported",
    "completes_window",
    "engine",
    "engine_norm",
    "from_rank_zero",
    "gradient_scale",
    "has_scaler",
    "hindrance",
    "holds_copy",
    "is_checked_after",
    "is_last_step",
    "is_out_of_patience",
    "is_rank_zero",
    "loss_divisor",
    "loss_node",
    "loss_scale",
    "loss_value",
    "mean_over_ranks",
    "namespace",
    "namespace_of",
    "optimizers_of",
    "planned_steps",
    "processes",
    "publish",
    "ranks",
    "reads_once",
    "rehearsal",
    "rename_wrappers",
    "say",
    "scale_left",
    "scaler_of",
    "step_of",
    "training_batches",
    "unwrapped",
    "unwrapped_module",
    "versions",
    "was_fitted",
    "wrap_again",
]
