"""What an arm was given: parts of it together."""

from search.record.given import Given


def test_a_table_that_two_parts_read_counts_once():
    table = Given(trace_evaluations=100, recalled=100, trainings=7)
    adapter = Given(trace_evaluations=50) + table
    together = adapter + (table + Given(cost_model=True))
    assert together == Given(trace_evaluations=150, recalled=100, trainings=7, cost_model=True)
    assert together.words == "150 trace evaluations, 7 trainings, cost model"
    assert (Given() + Given()).words == "nothing"
