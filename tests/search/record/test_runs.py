"""Run directories: what is in them, what is refused, and what survives."""

import json
import os

import pytest

from cim_sim.config import UsageError, load
from cim_sim.files import Journal, read
from search.evaluators import digests
from search.record.given import Given
from search.record.manifest import RunConfig, differences
from search.record.runs import open_run, read_run
from search.record.trace import Exchange, Failure, Trial


def digests_of(config):
    return digests(config.scenario, config.space, config)


def trial(step, **changes):
    outcome = {"failure": Failure(kind="crash", message="…"), **changes}
    return Trial(step=step, started_at="t", seconds=0.5, **outcome)


@pytest.fixture
def begun(tmp_path, config):
    """Return a run with three recorded trials."""
    path = tmp_path / "run"
    with open_run(path, config(), digests_of(config()), resume=False) as run:
        for step in range(3):
            run.trials.append(trial(step))
    return path


def test_a_run_is_a_directory_of_four_files(begun, config):
    assert sorted(file.name for file in begun.iterdir()) == [
        "config.yaml", "exchanges.jsonl", "manifest.json", "trials.jsonl",
    ]  # fmt: skip
    assert load(begun / "config.yaml", RunConfig) == config()
    manifest = json.loads((begun / "manifest.json").read_text())
    assert manifest["format"] == 1
    assert manifest["status"] == "running"
    assert manifest["digests"].keys() == {"scenario", "space", "evaluator", "simulator"}
    (session,) = manifest["sessions"]
    assert {"started_at", "git_commit", "git_dirty", "packages", "host"} == session.keys()
    assert session["packages"]["numpy"]
    assert session["host"]["python"]


def test_records_are_lines_of_json_and_read_back_equal(begun):
    record = read_run(begun)
    assert [one.step for one in record.trials] == [0, 1, 2]
    assert record.trials[0] == trial(0, failure=Failure(kind="crash", message="…"))
    lines = (begun / "trials.jsonl").read_text().splitlines()
    assert [json.loads(line)["step"] for line in lines] == [0, 1, 2]


def test_a_torn_last_line_is_left_out_and_then_cut_off(begun, config):
    file = begun / "trials.jsonl"
    whole = file.read_bytes()
    for torn in (b'{"step":3,"sta', b"{", b"\0\0\0", b'{"step":3,"started_at":"t","seconds":1}'):
        file.write_bytes(whole + torn)
        assert len(read_run(begun).trials) == 3
        assert file.read_bytes() == whole + torn
    with open_run(begun, config(), digests_of(config()), resume=True) as run:
        assert file.read_bytes() == whole
        run.trials.append(trial(3))
    assert [one.step for one in read_run(begun).trials] == [0, 1, 2, 3]


@pytest.mark.parametrize("line", [b'{"step":1,"sta', b'{"step": 1}', b"", b"[]"])
def test_a_damaged_middle_line_is_refused_with_its_place(begun, line):
    file = begun / "trials.jsonl"
    lines = file.read_bytes().splitlines()
    file.write_bytes(b"\n".join([lines[0], line, lines[2]]) + b"\n")
    with pytest.raises(UsageError, match=r"trials\.jsonl:2: not a trial: .*damaged or edited"):
        read_run(begun)


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        ("[[", "[[17,3],[", "trials.jsonl:1: expected 6 layers, found 7; layer 1: channels 17"),
        ('"duplicate_of":null', '"duplicate_of":5', "it repeats step 5, which is not before it"),
        ('"scenario":"', '"scenario":"f', "its scenario is f"),
    ],
)
def test_a_trial_of_another_run_is_refused(run_of, tmp_path, old, new, fault):
    run_of(tmp_path / "run", episodes=3)
    file = tmp_path / "run" / "trials.jsonl"
    file.write_text(file.read_text().replace(old, new))
    with pytest.raises(UsageError, match=fault):
        read_run(tmp_path / "run")


def test_missing_or_doubled_lines_are_refused(begun):
    file = begun / "trials.jsonl"
    lines = file.read_bytes().splitlines(keepends=True)
    file.write_bytes(lines[0] + lines[2])
    with pytest.raises(UsageError, match=r"trials\.jsonl:2: found step 2, expected 1"):
        read_run(begun)


def test_a_directory_in_use_is_not_written_unless_resumed(begun, config):
    with (
        pytest.raises(UsageError, match="is not empty; add --resume"),
        open_run(begun, config(), digests_of(config()), resume=False),
    ):
        pass
    assert len(read_run(begun).trials) == 3


def test_two_writers_are_one_too_many(begun, config):
    with (
        open_run(begun, config(), digests_of(config()), resume=True),
        pytest.raises(UsageError, match="another process is writing there"),
        open_run(begun, config(), digests_of(config()), resume=True),
    ):
        pass
    with open_run(begun, config(), digests_of(config()), resume=True) as run:
        assert len(run.manifest.sessions) == 3


def test_resume_refuses_what_was_changed_and_names_it(begun, config):
    sharper = {**config().scenario.model_dump(exclude_none=True), "limits": {"area_um2": 1e7}}
    changed = config(seed=1, scenario=sharper)
    before = {file.name: file.read_bytes() for file in begun.iterdir()}
    with (
        pytest.raises(UsageError) as refused,
        open_run(begun, changed, digests_of(changed), resume=True),
    ):
        pass
    message = str(refused.value)
    assert "cannot be resumed" in message
    assert "seed: 0 is not 1" in message
    assert "scenario.limits.area_um2: None is not 10000000.0" in message
    assert "digests.scenario: " in message
    assert "digests.space" not in message
    assert before == {file.name: file.read_bytes() for file in begun.iterdir()}


def test_resume_refuses_another_simulator(begun, config):
    other = digests_of(config()).model_copy(update={"simulator": "0" * 16})
    with (
        pytest.raises(UsageError, match=r"digests\.simulator: '[0-9a-f]{16}' is not '0{16}'"),
        open_run(begun, config(), other, resume=True),
    ):
        pass


def test_a_budget_can_be_raised_but_not_lowered(begun, config):
    more = config(episodes=20)
    with open_run(begun, more, digests_of(more), resume=True):
        pass
    assert read_run(begun).config.episodes == 20
    with (
        pytest.raises(UsageError, match="--episodes 12 is less than the 20 of the run"),
        open_run(begun, config(), digests_of(config()), resume=True),
    ):
        pass


def test_a_finished_run_that_lost_trials_goes_on_and_a_refusal_keeps_its_settings(run_of, tmp_path):
    path = tmp_path / "run"
    run_of(path)
    lines = (path / "trials.jsonl").read_text().splitlines(keepends=True)
    (path / "trials.jsonl").write_text("".join(lines[:-2]))
    before, wanted = (path / "config.yaml").read_text(), read_run(path).config
    with open_run(path, wanted, read_run(path).manifest.digests, resume=True) as run:
        assert (run.manifest.status, len(run.manifest.sessions)) == ("running", 2)
        run.refuse("the model is gone")
    assert (path / "config.yaml").read_text() == before
    assert read_run(path).manifest.status == "done"


def test_a_start_killed_before_its_manifest_can_be_resumed(tmp_path, config):
    (tmp_path / "config.yaml").write_text("optimizer: rand")
    (tmp_path / "trials.jsonl").touch()
    (tmp_path / ".manifest.json.new").write_text("{")
    with open_run(tmp_path, config(), digests_of(config()), resume=True) as run:
        assert run.trials.records == []
    assert read_run(tmp_path).config == config()


def test_a_first_session_that_is_refused_leaves_an_empty_place(tmp_path, config):
    folder = tmp_path / "run"
    with open_run(folder, config(), digests_of(config()), resume=False) as run:
        (folder / "server.log").write_text("the server came up")
        run.refuse("the prompt is longer than the model reads")
    assert not folder.exists()
    folder.mkdir()
    (folder / "server.log").write_text("of a session that was killed")
    with open_run(folder, config(), digests_of(config()), resume=True) as run:
        assert run.trials.records == []


def test_a_directory_with_something_else_is_not_resumed(tmp_path, config):
    (tmp_path / "thesis.tex").touch()
    with (
        pytest.raises(UsageError, match=r"holds no run to resume but thesis\.tex"),
        open_run(tmp_path, config(), digests_of(config()), resume=True),
    ):
        pass
    with pytest.raises(UsageError, match=r"holds no run \(no manifest\.json\)"):
        read_run(tmp_path)


@pytest.mark.skipif(os.geteuid() == 0, reason="root writes everywhere")
def test_a_read_only_directory_is_a_clear_error(tmp_path, config):
    tmp_path.chmod(0o500)
    with (
        pytest.raises(OSError, match=r"Permission denied: .*config\.yaml"),
        open_run(tmp_path, config(), digests_of(config()), resume=False),
    ):
        pass


def test_a_full_disk_leaves_no_half_line(tmp_path, monkeypatch):
    journal = Journal(tmp_path / "trials.jsonl", Trial)
    journal.append(trial(0))
    whole = journal.path.read_bytes()
    write = os.write

    def until_full(file, data):
        if len(data) > 10:
            return write(file, data[:10])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "write", until_full)
    with pytest.raises(OSError, match=r"No space left on device: '.*trials\.jsonl'"):
        journal.append(trial(1))
    monkeypatch.undo()
    assert journal.path.read_bytes() == whole
    journal.append(trial(1))
    journal.close()
    assert [one.step for one in read(journal.path, Trial).records] == [0, 1]


def test_exchanges_are_recorded_once_and_whole(tmp_path, config):
    one = Exchange(
        step=0, attempt=0, request={"seed": None, "messages": [{"role": "user"}]}, reply="[]",
        started_at="t", seconds=1,
    )  # fmt: skip
    with open_run(tmp_path, config(), digests_of(config()), resume=False) as run:
        run.add_exchanges([one])
        run.add_exchanges([one, one.model_copy(update={"attempt": 1})])
    assert [e.attempt for e in read_run(tmp_path).exchanges] == [0, 1]
    assert read_run(tmp_path).exchanges[0] == one


def test_another_model_does_not_resume_a_run(begun, config):
    with (
        pytest.raises(UsageError, match=r"model: None is not \{'weights': 'a'}"),
        open_run(begun, config(), digests_of(config()), resume=True) as run,
    ):
        run.identify({"weights": "a"}, None, Given())


def test_manifest_faults_are_named(begun):
    (begun / "manifest.json").write_text('{"format": 2}')
    with pytest.raises(UsageError, match=r"manifest\.json: format: Input should be 1"):
        read_run(begun)
    (begun / "manifest.json").write_text("{")
    with pytest.raises(UsageError, match=r"manifest\.json: not JSON"):
        read_run(begun)


def test_differences_go_both_ways():
    old, new = {"a": 1, "b": {"c": 2}}, {"b": {"c": 3, "d": [4]}}
    assert differences(old, new) == [
        "a: 1 is not None", "b.c: 2 is not 3", "b.d: None is not [4]",
    ]  # fmt: skip
    assert differences(old, old) == []
