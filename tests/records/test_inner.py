import math

from lightning_gradwatch.records import Fault, Frame, OperationReading, TimeProfile
from lightning_gradwatch.records.codec import decode, dumps, loads


def test_decades_through_time():
    fades = TimeProfile(ledger="loss", layer="rnn", decades=(-9.0, -4.0, -1.0, -1.5), steps=4)
    assert (fades.lost, fades.grown) == (8.0, -7.5)
    cut_off = TimeProfile(ledger="loss", layer="rnn", decades=(-math.inf, -1.0), steps=2)
    assert (cut_off.lost, cut_off.grown) == (math.inf, 0.0)
    assert TimeProfile(ledger="loss", layer="rnn", decades=(), steps=0).lost == 0.0


def test_they_survive_the_codec():
    frame = Frame(
        step=1,
        global_step=1,
        epoch=0,
        batch=1,
        loss=None,
        operations=(OperationReading(layer="a", operation="Relu", family="activation", dead=0.5, units=4),),
        times=(TimeProfile(ledger="loss", layer="rnn", decades=(-math.inf, 0.0), steps=2),),
        fault=Fault(layer="b", operation="Log", forward=True, operand=0.0),
    )
    assert decode(Frame, loads(dumps(frame))) == frame
