import pytest

from cim_sim.space import parse_design
from search.proposal import Proposal
from search.record.trace import Failure

DESIGN = parse_design("[[32,3],[32,3],[64,3],[64,3],[128,3],[128,3]]", "x")


def test_a_proposal_has_either_a_design_or_a_failure():
    failure = Failure(kind="reply", message="no JSON")
    assert Proposal(DESIGN).failure is None
    assert Proposal(failure=failure).design is None
    with pytest.raises(ValueError, match=r"either a design or a failure: Proposal\(design=None"):
        Proposal()
    with pytest.raises(ValueError, match=r"failure=Failure\(kind='reply'"):
        Proposal(DESIGN, failure)
