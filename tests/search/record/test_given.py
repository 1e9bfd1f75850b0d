"""What an arm was given: parts of it together."""

from search.optimizers import boosted, informed, lookup, neighbours
from search.record.given import Given


def test_a_table_that_two_parts_read_counts_once():
    table = Given(trace_evaluations=100, recalled=100, trainings=7)
    adapter = Given(trace_evaluations=50) + table
    together = adapter + (table + Given(cost_model=True))
    assert together == Given(trace_evaluations=150, recalled=100, trainings=7, cost_model=True)
    assert together.words == "150 trace evaluations, 7 trainings, cost model"
    assert (Given() + Given()).words == "nothing"


def test_every_reader_of_the_table_says_so():
    readers = [part.given(part.Settings()) for part in (lookup, neighbours, informed)]
    boost = boosted.given(boosted.Settings())
    (table,) = {reader.recalled for reader in (*readers, boost)}
    assert {reader.trace_evaluations for reader in readers} == {table}
    assert (readers[1] + readers[2] + boost).trace_evaluations == boost.trace_evaluations
