"""One net for many threads: what `predict` promises, and a small web server that relies on it."""

import json
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection
from socketserver import ThreadingMixIn
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

import numpy as np
import pytest

from chainrule.layers import (
    AddLayer,
    Affine,
    BatchNorm,
    Convolution,
    Dropout,
    Flatten,
    MaxPooling,
    MSELoss,
)
from chainrule.networks import SGD, Graph, Sequential, Trainer

THREADS = 8


@pytest.fixture
def quick_switches():
    """Let the threads take turns as often as can be."""
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    yield
    sys.setswitchinterval(interval)


def net():
    rng = np.random.default_rng(0)
    net = Sequential(
        Affine.random(4, 6, rng), BatchNorm.identity(6), Dropout(0.5, rng), Affine.random(6, 3, rng)
    )
    for _ in range(3):  # averages that are not those of a new net
        net.forward(rng.normal(size=(8, 4)))
    return net


def images():
    rng = np.random.default_rng(0)
    return Sequential(
        Convolution.random(1, 2, 3, rng, pad=1),
        BatchNorm.identity(2),
        MaxPooling(2),
        Dropout(0.3, rng),
        Flatten(),
        Affine.random(8, 3, rng),
    )


class Twice(Graph):
    part_names = ("tower", "joint")

    def __init__(self):
        self.tower, self.joint = net(), AddLayer()

    def connect(self, stack, x):
        return stack.push(self.joint, stack.push(self.tower, x), stack.push(self.tower, x))


def everything(net):
    """The state, the mode of each layer and the Generators' states, to compare."""
    state = {name: array.tobytes() for name, array in net.state_dict().items()}
    modes = [layer.training for _, layer in net.walk()]
    drawing = [layer for _, layer in net.walk() if isinstance(layer, Dropout)]
    return state, modes, [str(layer.rng.bit_generator.state) for layer in drawing]


@pytest.mark.usefixtures("quick_switches")
@pytest.mark.parametrize(("make", "shape"), [(net, (4,)), (images, (1, 4, 4)), (Twice, (4,))])
def test_threads_get_right_answers_and_leave_the_net_as_it_was(make, shape):
    shared, rng = make(), np.random.default_rng(1)
    batches = [rng.normal(size=(n, *shape)) for n in (1, 2, 3, 5)]
    dout = np.ones_like(shared.forward(batches[3]))
    right = [shared.predict(x) for x in batches]
    shared.backward(dout)
    grads, before = [grad.copy() for grad in shared.grads], everything(shared)

    def wrong_answers(start):
        turns = [(start + i) % 4 for i in range(100)]
        return sum(not np.array_equal(shared.predict(batches[k]), right[k]) for k in turns)

    with ThreadPoolExecutor(THREADS) as pool:
        assert sum(pool.map(wrong_answers, range(THREADS))) == 0
    assert everything(shared) == before
    shared.backward(dout)  # still that of the forward before
    for grad, other in zip(shared.grads, grads, strict=True):
        np.testing.assert_array_equal(grad, other)


@pytest.mark.usefixtures("quick_switches")
def test_training_goes_on_beside_predictions_as_without_them():
    x, t = np.random.default_rng(2).normal(size=(8, 4)), np.zeros((8, 3))

    def trained(readers):
        trainer = Trainer(net(), MSELoss(), SGD(0.01), rng=np.random.default_rng(0))
        done = threading.Event()

        def read():
            while not done.is_set():
                assert np.isfinite(trainer.net.predict(x)).all()

        with ThreadPoolExecutor(THREADS) as pool:
            reading = [pool.submit(read) for _ in range(readers)]
            losses = [trainer.train_step(x, t) for _ in range(200)]
            done.set()
            for future in reading:
                future.result()
        return losses, everything(trainer.net)

    assert trained(readers=3) == trained(readers=0)


class Server(ThreadingMixIn, WSGIServer):
    """One thread for each request."""

    daemon_threads = True
    request_queue_size = 64


class Quiet(WSGIRequestHandler):
    def log_message(self, *args):
        pass


def application(net):
    """A WSGI application that answers rows of x with the net's predictions."""

    def answer(environ, start_response):
        x = np.array(json.loads(environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"]))))
        start_response("200 OK", [("Content-Type", "application/json")])
        return [json.dumps(net.predict(x).tolist()).encode()]

    return answer


@pytest.mark.usefixtures("quick_switches")
def test_a_web_server_of_one_net_gives_no_wrong_digit():
    shared = net()
    before = everything(shared)
    rows = np.random.default_rng(3).normal(size=(500, 1, 4))
    right = [shared.predict(x).tolist() for x in rows]
    with make_server("127.0.0.1", 0, application(shared), Server, Quiet) as server:
        serving = threading.Thread(target=server.serve_forever, args=(0.01,))
        serving.start()

        def ask(x):
            connection = HTTPConnection("127.0.0.1", server.server_port, timeout=60)
            try:
                connection.request("POST", "/", json.dumps(x.tolist()))
                return json.loads(connection.getresponse().read())
            finally:
                connection.close()

        try:
            with ThreadPoolExecutor(THREADS) as clients:
                answers = list(clients.map(ask, rows))
        finally:
            server.shutdown()
            serving.join()
    assert answers == right
    assert everything(shared) == before
