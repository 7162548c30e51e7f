import gzip
import os
import socket
import sys
import threading
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest

from chainrule.datasets import download, load_fashion_mnist, load_mnist, read_idx, write_idx


@pytest.fixture
def good(tmp_path, files):
    """What a good mirror serves: gzipped files by their path."""
    pages = {}
    for name, array in files.items():
        path = tmp_path / "served.gz"
        write_idx(path, array)
        pages[f"/{name}.gz"] = path.read_bytes()
        path.unlink()
    return pages


@pytest.fixture
def serve():
    """A function that serves pages on localhost, and gives the address and the list of requests."""
    servers = []

    def start(pages, cut=False):
        requests = []

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                requests.append(self.path)
                page = pages.get(self.path)
                if page is None:
                    self.send_error(404)
                    return
                self.send_response(200)
                self.send_header("Content-Length", str(len(page)))
                self.end_headers()
                self.wfile.write(page[: len(page) // 2] if cut else page)

            def log_message(self, *args):
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        servers.append((server, thread))
        return f"http://127.0.0.1:{server.server_port}", requests

    yield start
    for server, thread in servers:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture
def dead():
    """An address at which nobody answers: its port is taken, but not listened to."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{taken.getsockname()[1]}"


@pytest.fixture
def use(empty_machine, monkeypatch):
    def set_mirrors(*mirrors):
        monkeypatch.setattr(download, "MNIST", replace(download.MNIST, mirrors=mirrors))

    return set_mirrors


def recompressed(good):
    return {path: gzip.compress(gzip.decompress(page), 1) for path, page in good.items()}


def unpacked(good):
    return {path: gzip.decompress(page) for path, page in good.items()}


def changed(good):
    """Whole gzip files of the right form, with one wrong byte at the end of the content."""
    wrong = {path: bytearray(gzip.decompress(page)) for path, page in good.items()}
    for content in wrong.values():
        content[-1] ^= 1
    return {path: gzip.compress(content) for path, content in wrong.items()}


def cut_short(good):
    return {path: page[:-20] for path, page in good.items()}


def login_page(good):
    return dict.fromkeys(good, b"<html>Please log in</html>")


def nothing(good):
    return {}


def assert_loaded(loaded, files):
    (x_train, t_train), (x_test, t_test) = loaded
    images, labels, test_images, test_labels = files.values()
    np.testing.assert_array_equal(np.rint(x_train * 255).reshape(images.shape), images)
    np.testing.assert_array_equal(np.rint(x_test * 255).reshape(test_images.shape), test_images)
    np.testing.assert_array_equal(t_train, labels)
    np.testing.assert_array_equal(t_test, test_labels)


def assert_clean(machine, files):
    """The cache holds `files` and nothing else, and no temporary file is left."""
    assert os.listdir(machine / "temporary") == []
    cache = machine / "cache" / "chainrule" / "mnist"
    assert sorted(os.listdir(cache) if cache.exists() else []) == sorted(files)
    for name, array in files.items():
        np.testing.assert_array_equal(read_idx(cache / name), array)


@pytest.mark.parametrize("form", [dict, recompressed, unpacked])
def test_a_good_mirror_is_asked_once_a_file(empty_machine, use, serve, good, files, form):
    address, requests = serve(form(good))
    use(address)
    for _ in range(2):
        assert_loaded(load_mnist(), files)
        assert sorted(requests) == sorted(good)
    assert_clean(empty_machine, files)


@pytest.mark.parametrize("bad", [changed, cut_short, login_page, nothing])
def test_the_next_mirror_steps_in(empty_machine, use, serve, dead, good, files, bad):
    bad_address, asked = serve(bad(good))
    address, requests = serve(good)
    use(dead, bad_address, address)
    assert_loaded(load_mnist(), files)
    assert len(asked) == len(requests) == 4
    assert_clean(empty_machine, files)


def test_a_connection_that_breaks(empty_machine, use, serve, good, files):
    broken, asked = serve(good, cut=True)
    address, _ = serve(good)
    use(broken, address)
    assert_loaded(load_mnist(), files)
    assert len(asked) == 4
    assert_clean(empty_machine, files)


def test_no_mirror_left(empty_machine, use, serve, dead, good, files):
    wrong, _ = serve(changed(good))
    missing, _ = serve({})
    use(dead, wrong, missing)
    with pytest.raises(OSError, match="MNIST could not be downloaded") as caught:
        load_mnist()
    message = str(caught.value)
    for address, reason in ((dead, "refused"), (wrong, "its SHA-256 is"), (missing, "404")):
        line = next(line for line in message.splitlines() if address in line)
        assert f"{address}/train-images-idx3-ubyte.gz: " in line
        assert reason in line
    for advice in ("root", "$CHAINRULE_DATA/mnist", "load_mnist_sample()", *files):
        assert advice in message
    assert_clean(empty_machine, {})


def test_what_was_downloaded_before_a_failure_is_kept(empty_machine, use, serve, good, files):
    labels = f"/{download.TRAIN_LABELS}.gz"
    address, _ = serve({path: page for path, page in good.items() if path != labels})
    use(address)
    with pytest.raises(OSError, match="404"):
        load_mnist()
    assert_clean(empty_machine, {download.TRAIN_IMAGES: files[download.TRAIN_IMAGES]})
    address, requests = serve(good)
    use(address)
    assert_loaded(load_mnist(), files)
    assert f"/{download.TRAIN_IMAGES}.gz" not in requests
    assert_clean(empty_machine, files)


@pytest.mark.parametrize(
    "damage", [lambda content: content[:-1], lambda content: content[:-1] + b"\xff"]
)
@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_a_damaged_cached_file_is_replaced(empty_machine, use, serve, good, files, damage, suffix):
    address, requests = serve(good)
    use(address)
    load_mnist()
    requests.clear()
    path = empty_machine / "cache" / "chainrule" / "mnist" / download.TRAIN_IMAGES
    whole = path.read_bytes()
    path.unlink()
    path.with_name(path.name + suffix).write_bytes(damage(whole))
    assert_loaded(load_mnist(), files)
    assert requests == [f"/{download.TRAIN_IMAGES}.gz"]
    assert_clean(empty_machine, files)


def test_files_put_into_the_cache_by_hand(empty_machine, use, files):
    use()
    folder = empty_machine / "cache" / "chainrule" / "mnist"
    folder.mkdir(parents=True)
    for name, array in files.items():
        write_idx(folder / f"{name}.gz", array)
    assert_loaded(load_mnist(), files)


def test_without_pooch_the_error_says_what_to_do(empty_machine, monkeypatch):
    monkeypatch.setitem(sys.modules, "pooch", None)
    with pytest.raises(ModuleNotFoundError) as caught:
        load_mnist()
    message = str(caught.value)
    for advice in ("pip install pooch tqdm", "$CHAINRULE_DATA/mnist", "load_mnist_sample()"):
        assert advice in message
    with pytest.raises(ModuleNotFoundError, match="dataset-fashion-mnist"):
        load_fashion_mnist()


def test_sources_have_several_mirrors_and_all_sums():
    for source in (download.MNIST, download.FASHION_MNIST):
        assert len(set(source.mirrors)) >= 2
        assert len(source.sha256) == 4
        assert all(len(bytes.fromhex(each)) == 32 for each in source.sha256.values())
