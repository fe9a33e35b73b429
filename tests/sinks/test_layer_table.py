import dataclasses
import json

import numpy as np
import pytest

from lightning_gradwatch.errors import UnreadableRecord
from lightning_gradwatch.records import profile
from lightning_gradwatch.sinks.layer_table import entries, read_table, write_table
from lightning_gradwatch.sinks.packed import pack, unpack
from tests.sinks.samples import CONFIG, anatomy, changed, frame, ledger, segment

LOGARITHMS = ("rms", "update")
LINEAR = ("flow", "activation", "linear", "norm", "other", "slope", "dead")


def parts(*segments):
    whole = dataclasses.replace(ledger(), segments=segments, target_layer=segments[-1].layer)
    return [part for entry in entries(whole, profile(frame(), whole), None) for part in entry.parts]


@pytest.mark.parametrize(
    ("families", "family"),
    [
        (["pool"], "pool"),
        (["pool", "shape"], "pool"),
        (["attention", "attention"], "attention"),
        (["pool", "attention"], "block"),
        (["loss", "other"], "block"),
    ],
)
def test_segments_that_share_a_column_are_one_part_of_a_common_family(families, family):
    made = parts(segment("h", 0.1), *(segment("a", -1.0, name) for name in families))
    assert [(part.column, part.family) for part in made] == [("linear", "linear"), ("other", family)]
    assert [name for name, _ in made[1].operations] == list(dict.fromkeys(name.title() for name in families))


def test_what_is_written_is_read():
    columns = entries(ledger(), profile(frame(), ledger()), anatomy())
    schema, content = write_table(columns, "loss", "net.0.weight", json.dumps(CONFIG))
    table = read_table(content)
    assert (table.layers, table.schema, table.config) == (columns, schema, CONFIG)
    assert (table.ledger, table.target) == ("loss", "net.0.weight")


def test_settings_are_no_part_of_the_digits():
    columns = entries(ledger(), profile(frame(), ledger()), anatomy())
    assert write_table(columns, "loss", "w", "{}")[0] == write_table(columns, "loss", "w", '{"a":1}')[0]
    assert write_table(columns, "loss", "w", "{}")[0] != write_table(columns, "loss[1]", "w", "{}")[0]


def test_the_table_says_what_the_matrix_is():
    packed = pack(frame(layers=3), anatomy(3), CONFIG)
    table = json.loads(packed.metadata)
    assert packed.matrix.shape == (len(table["stats"]), len(table["layers"])) == (9, 3)
    assert packed.matrix.dtype == np.dtype("<f2")
    assert packed.tag == f"gradwatch/stats/{table['schema']}"
    assert len(table["schema"]) == 8
    assert table["version"] == 1
    assert table["config"] == CONFIG
    assert table["package_version"]
    assert [(layer["name"], layer["type"], layer["depth"], layer["params"]) for layer in table["layers"]] == [
        ("net.2", "Linear", 0, 16),
        ("net.1", "Linear", 1, 16),
        ("net.0", "Linear", 2, 16),
    ]
    assert {stat["name"]: stat["enc"] for stat in table["stats"]} == dict.fromkeys(LINEAR, "linear") | dict.fromkeys(
        LOGARITHMS, "log10f16"
    )


def test_the_tag_stays_while_numbers_change_and_changes_with_the_layers():
    tags = {pack(frame(step, decades=-step / 10), anatomy(), CONFIG).tag for step in range(5)}
    assert len(tags) == 1
    assert pack(frame(layers=5), anatomy(5), CONFIG).tag not in tags


@pytest.mark.parametrize(
    ("metadata", "says"),
    [
        (b"", "not JSON"),
        (b"\xff\xfe", "layer table: not text"),
        (b"[]", "no format number"),
        (changed(version=2), "upgrade"),
        (changed(layers=[]), "does not fit"),
        (changed(layers=7), "expected a list"),
        (changed(stats=[{"name": "x", "unit": "", "enc": "base64"}] * 9), "encoding 'base64'"),
        (
            changed(
                layers=[
                    {
                        "name": "a",
                        "type": "",
                        "depth": 0,
                        "params": 0,
                        "parts": [{"column": "x", "family": "", "label": ""}],
                    }
                ]
                * 4
            ),
            "column",
        ),
    ],
    ids=["empty", "bytes", "list", "newer", "no layers", "layers are a number", "unknown encoding", "unknown column"],
)
def test_foreign_and_damaged_tables_are_one_sentence(metadata, says):
    with pytest.raises(UnreadableRecord, match=says):
        unpack(pack(frame(), anatomy(), {}).matrix, metadata, 0)
