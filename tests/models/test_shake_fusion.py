import torch

from unblur.models import PlainUNetConfig, ShakeFusion, ShakeFusionConfig

SMALL = ShakeFusionConfig(backbone=PlainUNetConfig(channels=(16, 32), blocks=(1, 1)))


def inputs(height: int, width: int) -> tuple[torch.Tensor, ...]:
    images, deconvolved = torch.rand(2, 2, 3, height, width), torch.rand(2, SMALL.deconvolutions, 3, height, width)
    return (*images, deconvolved, torch.tensor([0.1, 0.9]), torch.tensor([5.0, 30.0]))


def test_training_begins_at_the_restoration() -> None:
    given = inputs(37, 45)
    assert torch.equal(ShakeFusion(SMALL)(*given), given[1])


def test_every_input_matters_once_trained() -> None:
    network = ShakeFusion(SMALL)
    torch.nn.init.normal_(network.backbone.ending.weight, std=0.1)
    given = inputs(40, 40)
    before = network(*given)
    for place in range(5):
        changed = [value.clone() for value in given]
        changed[place] = changed[place] * 0.5
        assert not torch.allclose(network(*changed), before)


def test_every_parameter_has_a_gradient() -> None:
    network = ShakeFusion(SMALL)
    torch.nn.init.normal_(network.backbone.ending.weight, std=0.1)
    torch.autograd.backward(network(*inputs(32, 32)).square().sum())
    assert all(parameter.grad is not None and bool(parameter.grad.any()) for parameter in network.parameters())
