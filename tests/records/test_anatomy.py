from dataclasses import replace

from lightning_gradwatch.records import Anatomy, Layer

LINEAR = Layer(name="net.0", type="Linear", family="linear", parameters=16, trainable=True, weight_std=0.1)
NET = Anatomy(layers=(LINEAR,), activations=(("net.1", "ReLU"),))


def test_a_trained_network_is_the_same_build():
    assert NET.is_build_of(replace(NET, layers=(replace(LINEAR, weight_std=0.7, trainable=False),)))


def test_another_network_is_not():
    assert not NET.is_build_of(Anatomy())
    assert not NET.is_build_of(replace(NET, activations=()))
    assert not NET.is_build_of(replace(NET, layers=(replace(LINEAR, parameters=17),)))
