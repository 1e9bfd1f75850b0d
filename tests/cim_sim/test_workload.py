"""Layer shapes of the paper's backbone."""

import pytest

from cim_sim.config import UsageError, load, parse
from cim_sim.scenario import Scenario
from cim_sim.space import Space, parse_design
from cim_sim.workload import CIFAR10, Workload

PAPER = parse_design("[[32,3],[32,3],[64,5],[64,3],[128,3],[128,7]]", "paper")


def test_shapes_are_those_of_the_papers_backbone():
    stack = CIFAR10.stack([PAPER, PAPER])
    assert stack.side.tolist() == [[32, 32, 16, 16, 8, 8, 1, 1]] * 2
    assert stack.in_channels[0].tolist() == [3, 32, 32, 64, 64, 128, 128 * 16, 1024]
    assert stack.kernel[0].tolist() == [3, 3, 5, 3, 3, 7, 1, 1]
    assert stack.out_channels[0].tolist() == [32, 32, 64, 64, 128, 128, 1024, 10]
    assert stack.pooled[0].tolist() == [0, 1, 0, 1, 0, 1, 0, 0]
    assert stack.weights[0, 0] == 3 * 9 * 32


def test_a_smaller_image_ends_in_a_smaller_map():
    stack = Workload(dataset="digits-16", pools_after=(2, 4)).stack([PAPER])
    assert stack.side[0].tolist() == [16, 16, 8, 8, 4, 4, 1, 1]
    assert stack.in_channels[0, 6] == 128 * 16
    assert len(stack) == 1


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        (
            {"dataset": "cifar"},
            "test: dataset: 'cifar' is not known; choose from shapes .*cifar10:FOLDER",
        ),
        ({"dataset": "digits:here"}, "'digits:here' is not known"),
        ({"image_side": 32}, "image_side is not known"),
        ({"hidden": 0}, "hidden: .*greater than or equal to 1"),
        ({"pools_after": [4, 2]}, "pools_after must increase without repeats"),
        (
            {"dataset": "digits", "pools_after": [1, 2, 3, 4]},
            "images of digits, 8x8, cannot be halved 4 times",
        ),
    ],
)
def test_what_is_no_network_is_refused(changes, fault):
    with pytest.raises(UsageError, match=fault):
        parse(changes, Workload, "test")


def test_a_local_copy_of_cifar10_has_its_images():
    assert Workload(dataset="cifar10:/some/folder").image == CIFAR10.image


def test_a_pool_after_a_layer_that_a_space_lacks_is_refused():
    problem = load("configs/scenarios/embedded-energy.yaml", Scenario)
    space = load("configs/spaces/embedded.yaml", Space)
    late = problem.model_copy(update={"workload": Workload(pools_after=(2, 4, 9))})
    with pytest.raises(UsageError, match=r"pools_after \[2, 4, 9\] names more than 6 layers"):
        late.require_fits(space)


def test_training_noise_beyond_the_weights_is_refused():
    data = load("configs/scenarios/embedded-energy.yaml", Scenario).model_dump(exclude_none=True)
    with pytest.raises(UsageError, match="training_sigma"):
        parse({**data, "training_sigma": 2.0}, Scenario, "test")
