"""Values of TensorBoard events, made by hand from its protobuf classes.

torch's ``add_tensor`` is of no use here: it fixes the plugin's name, leaves out the data class without which no plugin
sees a series, and stores a float16 in 7.6 bytes.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

PLUGIN = "gradwatch"


def protos(name: str) -> Any:
    """A module of TensorBoard's protobuf classes, which are made at run time where no type checker sees them."""
    return import_module(f"tensorboard.compat.proto.{name}_pb2")


def number(tag: str, value: float) -> Any:
    """One point of a curve."""
    return protos("summary").Summary.Value(tag=tag, simple_value=value)


def matrix(tag: str, values: npt.NDArray[np.float16], metadata: bytes | None) -> Any:
    """A float16 matrix for our plugin; metadata only on the first event of its tag: TensorBoard keeps the first."""
    return _tensor(tag, values.shape, metadata, dtype="DT_HALF", tensor_content=values.astype("<f2").tobytes())


def text(tag: str, content: str, metadata: bytes | None) -> Any:
    """A string for our plugin, not for the text tab."""
    return _tensor(tag, (1,), metadata, dtype="DT_STRING", string_val=[content.encode()])


def add(writer: Any, values: Sequence[Any], step: int) -> None:
    """Write the values as one event through a SummaryWriter of torch or of tensorboardX."""
    summary = protos("summary").Summary(value=values)
    if any(kind.__module__.partition(".")[0] == "tensorboardX" for kind in type(writer).__mro__):
        # Its metadata knows no data class, but it passes on the bytes of fields that it does not know.
        theirs: Any = import_module("tensorboardX.proto.summary_pb2")
        summary = theirs.Summary.FromString(summary.SerializeToString())
    # The private name is the one that Lightning's own logger uses; there is no public way to add a summary.
    writer._get_file_writer().add_summary(summary, step)


def _tensor(tag: str, shape: Sequence[int], metadata: bytes | None, **content: Any) -> Any:
    sizes = protos("tensor_shape").TensorShapeProto
    tensor = protos("tensor").TensorProto(tensor_shape=sizes(dim=[sizes.Dim(size=size) for size in shape]), **content)
    return protos("summary").Summary.Value(tag=tag, tensor=tensor, metadata=_metadata(metadata))


def _metadata(content: bytes | None) -> Any:
    if content is None:
        return None
    kinds = protos("summary")
    plugin = kinds.SummaryMetadata.PluginData(plugin_name=PLUGIN, content=content)
    return kinds.SummaryMetadata(plugin_data=plugin, data_class=kinds.DATA_CLASS_TENSOR)
