"""Layer shapes of the paper's backbone."""

from cim_sim.space import parse_design
from cim_sim.workload import Workload

PAPER = parse_design("[[32,3],[32,3],[64,5],[64,3],[128,3],[128,7]]", "paper")


def test_shapes_are_those_of_the_papers_backbone():
    stack = Workload().stack([PAPER, PAPER])
    assert stack.side.tolist() == [[32, 32, 16, 16, 8, 8, 1, 1]] * 2
    assert stack.in_channels[0].tolist() == [3, 32, 32, 64, 64, 128, 128 * 16, 1024]
    assert stack.kernel[0].tolist() == [3, 3, 5, 3, 3, 7, 1, 1]
    assert stack.out_channels[0].tolist() == [32, 32, 64, 64, 128, 128, 1024, 10]
    assert stack.pooled[0].tolist() == [0, 1, 0, 1, 0, 1, 0, 0]
    assert stack.weights[0, 0] == 3 * 9 * 32


def test_a_smaller_image_ends_in_a_smaller_map():
    stack = Workload(image_side=16, image_channels=1, pools_after=(2, 4)).stack([PAPER])
    assert stack.side[0].tolist() == [16, 16, 8, 8, 4, 4, 1, 1]
    assert stack.in_channels[0, 6] == 128 * 16
    assert len(stack) == 1
