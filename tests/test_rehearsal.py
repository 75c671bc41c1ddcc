import pytest
import torch
from torch import Tensor, nn

from initlib.rehearsal import all_or_nothing, call, rehearsal


class Sums(nn.Module):
    def forward(self, x: Tensor | list[Tensor], y: float = 1) -> Tensor:
        return sum(x) + y if isinstance(x, list) else x + y


@pytest.mark.parametrize(
    ("batch", "result"),
    [
        (torch.tensor(2.0), 3),
        ((torch.tensor(2.0), 4.0), 6),
        ({"y": 5.0, "x": torch.tensor(2.0)}, 7),
        ([torch.tensor(2.0), torch.tensor(3.0)], 6),
    ],
)
def test_a_tuple_holds_arguments_and_a_mapping_keywords(batch, result):
    assert call(Sums(), batch) == result


def test_a_call_leaves_the_state_of_the_generator():
    torch.manual_seed(0)
    first = torch.rand(())
    torch.manual_seed(0)
    model = nn.Dropout(0.5).train()
    assert set(call(model, torch.ones(50)).tolist()) == {0, 2}
    assert torch.rand(()) == first


def test_a_rehearsal_evaluates_without_gradients_and_keeps_batch_norm_as_it_is():
    model = nn.Sequential(nn.Dropout(0.5), nn.BatchNorm1d(3), nn.BatchNorm1d(3).eval())
    x = torch.arange(12.0, requires_grad=True).view(4, 3)
    running = model[1].running_mean
    with rehearsal(model):
        assert [layer.training for layer in model] == [False, True, False]
        y = model(x)
        assert not y.requires_grad
        assert model[1].num_batches_tracked == 1
        assert y.mean().item() == pytest.approx(0, abs=1e-6)
    assert [layer.training for layer in model] == [True, True, False]
    assert model[1].num_batches_tracked == 0
    assert model[1].running_mean is running
    assert not running.any()


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_an_error_puts_parameters_back(error):
    model = nn.Linear(3, 3)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}

    def change_and_fail():
        with all_or_nothing(model):
            nn.init.zeros_(model.weight)
            raise error

    with pytest.raises(error):
        change_and_fail()
    assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())
    with all_or_nothing(model):
        nn.init.zeros_(model.weight)
    assert not model.weight.any()
