import threading
import time

import pytest

from cim_sim.config import UsageError
from search.llm.client import Client, Completion, Unavailable
from search.llm.endpoint import Endpoint
from search.llm.model import ModelConfig, Sampling
from search.llm.scripted import Scripted
from search.proposal import SearchStopped

ASK = [{"role": "user", "content": "a design, please"}]
MODEL = ModelConfig(name="m", model="org/m", base_url="http://x/v1", pause_s=0.01, tries=3)
BUSY = Unavailable("busy")


class InTurn:
    """A transport that gives its replies in turn, or raises them; keeps the requests."""

    def __init__(self, replies):
        self.replies, self.requests = list(replies), []

    def send(self, request):
        self.requests.append(request)
        reply = self.replies.pop(0)
        if isinstance(reply, Exception):
            raise reply
        return Completion(reply, "stop", {})

    def close(self):
        pass


def client(replies, recorded=(), **changes):
    transport = InTurn(replies)
    return Client(MODEL.model_copy(update=changes), transport, recorded), transport


def test_every_sampling_field_is_sent_and_recorded():
    asked, transport = client(["ok"], sampling=Sampling(temperature=0.5), extra_body={"top_k": 40})
    exchange = asked.complete(3, 1, ASK, seed=7)
    assert transport.requests == [exchange.request]
    assert exchange.request == {
        "model": "org/m",
        "messages": ASK,
        "temperature": 0.5,
        "top_p": 1.0,
        "max_tokens": 256,
        "seed": 7,
        "n": 1,
        "top_k": 40,
    }
    assert (exchange.step, exchange.attempt, exchange.reply) == (3, 1, "ok")
    assert (exchange.finish_reason, exchange.error) == ("stop", None)


def test_a_busy_server_is_asked_again():
    asked, transport = client([BUSY, "", "ok"])
    assert asked.complete(0, 0, ASK, 0).reply == "ok"
    assert len(transport.requests) == 3


def test_a_server_that_stays_busy_ends_the_search():
    asked, transport = client([BUSY] * 9)
    with pytest.raises(SearchStopped, match="model m gave no answer in 3 tries; the last: busy"):
        asked.complete(0, 0, ASK, 0)
    assert len(transport.requests) == 3


def test_a_model_that_stays_silent_has_answered_nothing():
    asked, transport = client([""] * 9)
    assert asked.complete(0, 0, ASK, 0).reply == ""
    assert len(transport.requests) == 3


def test_no_try_is_wasted_on_a_dead_server():
    transport = InTurn([BUSY] * 9)
    asked = Client(MODEL, transport, fault=lambda: "the server ended by itself")
    with pytest.raises(SearchStopped, match="busy: the server ended by itself"):
        asked.complete(0, 0, ASK, 0)
    assert len(transport.requests) == 1


def test_pauses_double_and_closing_ends_them():
    asked, _ = client([BUSY] * 9, pause_s=60.0)
    threading.Timer(0.1, asked.close).start()
    start = time.monotonic()
    with pytest.raises(SearchStopped, match="model m was closed"):
        asked.complete(0, 0, ASK, 0)
    assert time.monotonic() - start < 10


def test_the_record_answers_first():
    first, _ = client(["from the model"])
    exchange = first.complete(0, 0, ASK, 5).model_copy(update={"error": "not a design"})
    again, transport = client(["something else"], [exchange])
    assert again.complete(0, 0, ASK, 5) == exchange
    assert transport.requests == []
    assert again.complete(1, 0, ASK, 5).reply == "something else"


def test_a_recorded_request_must_be_the_same():
    first, _ = client(["x"])
    exchange = first.complete(2, 1, ASK, 5)
    again, _ = client([], [exchange])
    other = [{"role": "user", "content": "a better design, please"}]
    with pytest.raises(UsageError) as caught:
        again.complete(2, 1, other, 6)
    message = str(caught.value)
    assert message.startswith("step 2, attempt 1: the recorded request is not the one")
    assert "seed: recorded ...5, now ...6" in message
    assert 'a design, please"}], now' in message
    assert "temperature" not in message


def test_a_script_file_answers_by_seed(tmp_path):
    script = tmp_path / "replies.txt"
    script.write_text("one\ntwo\n")
    replies = [Scripted(script).send({"seed": seed}).text for seed in (4, 5, 4)]
    assert replies == ["one", "two", "one"]


@pytest.mark.parametrize(("content", "fault"), [(b"", "is empty; write"), (b"\xff", "not a text")])
def test_a_script_that_says_nothing_is_named(tmp_path, content, fault):
    (tmp_path / "script.txt").write_bytes(content)
    with pytest.raises(UsageError, match=rf"script\.txt: {fault}"):
        Scripted(tmp_path / "script.txt")


def over_http(http_model, *replies, **changes):
    server = http_model(*replies)
    model = MODEL.model_copy(update={"base_url": server.base_url, **changes})
    endpoint = Endpoint(server.base_url, "secret", model.timeout_s)
    return Client(model, endpoint), server


def test_a_real_endpoint_gets_the_request_whole_and_the_key_only_in_the_header(http_model):
    asked, server = over_http(http_model, "hello \ud800")
    exchange = asked.complete(0, 0, ASK, 1)
    assert exchange.reply == "hello ?"
    assert exchange.usage == {"total_tokens": 3}
    (request,) = server.requests
    assert request["body"] == exchange.request
    assert request["path"] == "/v1/chat/completions"
    assert request["headers"]["authorization"] == "Bearer secret"
    assert "secret" not in exchange.model_dump_json()
    asked.close()


@pytest.mark.parametrize("fault", [500, 503, 429, b"", b"<html>", b'{"choices":[]}', None])
def test_a_failing_endpoint_is_asked_again(http_model, fault):
    asked, server = over_http(http_model, fault, "ok")
    assert asked.complete(0, 0, ASK, 1).reply == "ok"
    assert len(server.requests) == 2
    asked.close()


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        (500, "HTTP 500: out of order"),
        (429, "HTTP 429: out of order"),
        (b"", "the reply is no chat completion: b''"),
        (0.5, "no answer within 0.2 s"),
        (None, "cannot be reached"),
    ],
)
def test_an_endpoint_that_keeps_failing_ends_the_search(http_model, fault, message):
    asked, server = over_http(http_model, *[fault] * 5, timeout_s=0.2)
    with pytest.raises(SearchStopped, match="gave no answer in 3 tries; the last: .*" + message):
        asked.complete(0, 0, ASK, 1)
    assert len(server.requests) == 3
    asked.close()


@pytest.mark.parametrize(
    ("status", "hint"),
    [(400, "out of order"), (401, "is OPENAI_API_KEY set?"), (404, "is the model's name right?")],
)
def test_a_refusal_is_not_repeated(http_model, status, hint):
    asked, server = over_http(http_model, status)
    with pytest.raises(UsageError, match="the model server refuses the request: HTTP") as caught:
        asked.complete(0, 0, ASK, 1)
    assert hint in str(caught.value)
    assert len(server.requests) == 1
    asked.close()


def test_nobody_listens():
    model = MODEL.model_copy(update={"tries": 2})
    asked = Client(model, Endpoint("http://127.0.0.1:9/v1", "EMPTY", 1.0))
    with pytest.raises(SearchStopped, match=r"127\.0\.0\.1:9/v1 cannot be reached"):
        asked.complete(0, 0, ASK, 1)
    asked.close()
