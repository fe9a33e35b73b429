import math

import pytest

from lightning_gradwatch.report import Report
from lightning_gradwatch.report.table import MOST_ROWS, flow_table, layout
from tests.report.samples import HOSTILE, chain, frame, healthy, ledger, sick, vanishing


def test_nothing_to_show():
    assert flow_table(Report()) is None


def test_first_and_last_step_head_first():
    table = flow_table(sick(4, steps=3))
    assert table.header == ("", "layer", "step 0", "step 2", "activation", "weights")
    assert [row[1] for row in table.rows] == ["net.6", "net.4", "net.2", "net.0"]
    assert table.rows[0] == ("", "net.6", "1", "1", "", "-0.2")
    assert table.rows[-1] == ("!", "net.0", "0.002", "0.0028", "-0.7", "")


def test_one_step_is_one_column():
    assert flow_table(healthy(3, 1)).header == ("", "layer", "step 0", "activation", "weights")


def test_columns_without_content_are_left_out():
    still = Report(frames=(frame(0, ledger(chain(3), activation=-1.0, linear=0.0)),))
    assert flow_table(still).header == ("", "layer", "step 0", "activation")


@pytest.mark.parametrize("count", [2, 3, 23, 24, 25, 26, 60, 300])
def test_at_most_24_rows_whatever_the_depth(count):
    rows = flow_table(sick(count, 1)).rows
    assert len(rows) <= MOST_ROWS
    hidden = sum(int(row[1].split()[1]) for row in rows if row[1].startswith("..."))
    shown = [row for row in rows if not row[1].startswith("...")]
    assert len(shown) + hidden == count
    assert (shown[0][1], shown[-1][1]) == (f"net.{2 * count - 2}", "net.0")
    assert not [row for row in rows if row[1] == "... 1 layer ..."]


@pytest.mark.parametrize("loss", [-9.0, 7.0, -math.inf, math.nan])
def test_a_break_in_the_middle_of_a_deep_network_is_shown(loss):
    activation = [-0.1] * 300
    activation[150] = loss
    table = flow_table(Report(frames=(frame(0, ledger(chain(300), activation=activation, linear=0.0)),)))
    row = next(row for row in table.rows if row[1] == "net.300")
    assert row[-1] == ("?" if math.isnan(loss) else f"{loss:+.1f}")


def test_layout_is_aligned_and_fits():
    table = flow_table(sick(40, 3))
    lines = layout(table)
    assert len(lines) == len(table.rows) + 1
    assert max(map(len, lines)) <= 98
    assert len({len(line) for line in lines if line.rstrip().endswith("-0.2")}) == 1


def test_hostile_names_stay_in_their_line():
    names = [HOSTILE, "x" * 500, "net.1"]
    table = flow_table(Report(frames=(frame(0, ledger(names)),), findings=(vanishing([HOSTILE]),)))
    assert max(map(len, layout(table))) <= 98
    assert all(line.isprintable() for line in layout(table))


def test_caption_says_where_there_was_no_ledger():
    table = flow_table(Report(frames=(frame(0, names=chain(3)),)))
    assert "by parameters" in table.caption
