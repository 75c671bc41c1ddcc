"""Data is what its checksum says, split as documented; anything else is an error that names it."""

import gzip
import hashlib
import http.server
import json
import re
import threading

import numpy as np
import pytest
import torch

from initlib.lab import mnist
from initlib.lab.archive import NEEDED
from initlib.lab.checksums import checksums
from initlib.lab.data import load
from initlib.lab.paths import DATA


def images_and_labels(n, shape=(2, 3), classes=3):
    x = np.arange(n * np.prod(shape), dtype=np.float64).reshape(n, *shape)
    return x, np.arange(n) % classes


def arrays(**changes):
    x_train, y_train = images_and_labels(6)
    x_test, y_test = images_and_labels(3)
    return dict(zip(NEEDED, (x_train, y_train, x_test, y_test), strict=True)) | changes


def archive(folder, **changes):
    path = folder / "own.npz"
    np.savez(
        path, **{name: value for name, value in arrays(**changes).items() if value is not None}
    )
    return path


# ------------------------------------------------------------------------------------- mnist


def test_mnist_is_split_by_position():
    data = load("mnist", "raw")
    raw = gzip.decompress((DATA / mnist.TEST_IMAGES).read_bytes())
    every = torch.frombuffer(bytearray(raw[16:]), dtype=torch.uint8).reshape(10_000, 28, 28)
    assert torch.equal(data.x_test, every[4::5].float())
    assert torch.equal(data.x_train[:5], every[[0, 1, 2, 3, 5]].float())
    assert (len(data.x_train), len(data.x_test)) == (8000, 2000)
    assert data.y_train[:5].tolist() == [7, 2, 1, 0, 1]


@pytest.mark.parametrize(
    ("scaling", "low", "high"), [("raw", 0, 255), ("unit", 0, 1), ("standardized", -0.43, 2.79)]
)
def test_scaling_comes_from_the_training_images(scaling, low, high):
    data = load("mnist", scaling)
    assert data.x_train.dtype == torch.float32
    assert data.x_train.min().item() == pytest.approx(low, abs=0.01)
    assert data.x_train.max().item() == pytest.approx(high, abs=0.01)
    raw = load("mnist", "raw")
    torch.testing.assert_close(data.x_test, (raw.x_test - data.shift) / data.scale)
    if scaling == "standardized":
        assert data.x_train.double().mean().item() == pytest.approx(0, abs=1e-6)
        assert data.x_train.double().square().mean().item() == pytest.approx(1, abs=1e-6)


def test_a_dataset_knows_its_baselines():
    data = load("mnist")
    assert data.chance == 0.1
    assert data.majority == pytest.approx(0.1265)  # 253 ones among the 2000 test images
    assert data.flat().x_test.shape == (2000, 784)


def test_checksums_are_of_the_content():
    for name, sha256 in checksums("mnist").items():
        raw = gzip.decompress((DATA / name).read_bytes())
        assert hashlib.sha256(raw).hexdigest() == sha256
        assert len(raw) == json.loads((DATA / "manifest.json").read_text())[name]["bytes"]
    assert load("mnist").sha256 == checksums("mnist")
    assert set(checksums("mnist-60k")) == set(mnist.ALL)


@pytest.fixture
def own_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("INITLIB_DATA", str(tmp_path / "own"))
    (tmp_path / "own").mkdir()
    return tmp_path / "own"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"no gzip", "damaged"),
        (gzip.compress(b"short"), "sha256"),
        ((DATA / mnist.TEST_LABELS).read_bytes()[:2000], "damaged"),
    ],
    ids=["no gzip", "other content", "cut off"],
)
def test_a_corrupt_file_is_refused(own_folder, content, message):
    (own_folder / mnist.TEST_LABELS).write_bytes(content)
    with pytest.raises(ValueError, match=f"(?s){mnist.TEST_LABELS}.*{message}.*delete it"):
        load("mnist")


@pytest.fixture
def mirrors(tmp_path, monkeypatch, own_folder):
    """Two mirrors on this machine for four small files; the first has only damaged ones."""
    contents = {}
    for part, n in (("train", 20), ("t10k", 10)):
        images = np.arange(n * 6, dtype=np.uint8)
        contents[f"{part}-images-idx3-ubyte.gz"] = (
            np.array([2051, n, 2, 3], ">i4").tobytes() + images.tobytes()
        )
        labels = np.arange(n, dtype=np.uint8) % 4
        contents[f"{part}-labels-idx1-ubyte.gz"] = (
            np.array([2049, n], ">i4").tobytes() + labels.tobytes()
        )
    for mirror in ("bad", "good"):
        for name, raw in contents.items():
            path = tmp_path / mirror / name
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(gzip.compress(raw if mirror == "good" else raw[:-1]))

    class Handler(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *args):
            super().__init__(*args, directory=tmp_path)

        def log_message(self, *args):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        address = f"http://127.0.0.1:{server.server_port}"
        manifest = {
            name: {
                "sha256": hashlib.sha256(raw).hexdigest(),
                "urls": [f"{address}/{mirror}/{name}" for mirror in ("bad", "good")],
            }
            for name, raw in contents.items()
        }
        (tmp_path / "data").mkdir()
        (tmp_path / "data" / "manifest.json").write_text(json.dumps(manifest))
        monkeypatch.setattr(mnist, "DATA", tmp_path / "data")
        yield tmp_path
        server.shutdown()
        thread.join()


def test_missing_files_are_fetched_checked_and_kept(mirrors, own_folder):
    data = load("mnist-60k", "raw")
    assert (data.x_train.shape, data.x_test.shape) == ((20, 2, 3), (10, 2, 3))
    assert data.y_train.tolist() == [i % 4 for i in range(20)]
    assert sorted(path.name for path in own_folder.iterdir()) == sorted(mnist.ALL)
    for path in (mirrors / "good").iterdir():
        path.unlink()
    assert torch.equal(load("mnist-60k", "raw").x_train, data.x_train)


def test_without_a_mirror_the_error_says_what_to_do(mirrors, own_folder):
    for path in (mirrors / "good").iterdir():
        path.unlink()
    with pytest.raises(FileNotFoundError, match=r"(?s)train-images.*sha256.*404.*INITLIB_DATA"):
        load("mnist-60k")
    assert list(own_folder.iterdir()) == []


# ------------------------------------------------------------------------------------- archives


@pytest.mark.parametrize("shape", [(4,), (2, 3), (3, 5, 5), (2, 2, 2, 2)])
@pytest.mark.parametrize("dtype", [np.uint8, np.float16, np.float64, bool])
def test_images_of_any_shape_and_type(tmp_path, shape, dtype):
    x_train, x_test = (images_and_labels(n, shape)[0] % 2 for n in (6, 3))
    path = archive(tmp_path, x_train=x_train.astype(dtype), x_test=x_test.astype(dtype))
    data = load(path, "unit")
    assert data.x_train.shape == (6, *shape)
    np.testing.assert_array_equal(data.x_test.numpy(), x_test)
    assert data.classes == 3
    assert load(str(path)).sha256 == checksums(path) == data.sha256


@pytest.mark.parametrize("dtype", [np.int8, np.uint64])
def test_labels_of_any_integer_type(tmp_path, dtype):
    y_train = arrays()["y_train"].astype(dtype)
    data = load(archive(tmp_path, y_train=y_train))
    assert data.y_train.dtype == torch.int64
    assert data.y_train.tolist() == y_train.tolist()


X, Y = images_and_labels(6)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"y_test": None, "x_test": None}, "lacks x_test, y_test"),
        ({"x_train": X.astype(object)}, "x_train can't be read without pickle"),
        ({"x_train": X.astype(complex)}, "x_train must hold real numbers"),
        ({"x_train": X[:, 0, 0]}, "x_train must have shape"),
        ({"x_train": X[:0], "y_train": Y[:0]}, "x_train must have shape"),
        ({"x_train": X * 1e300}, "too large"),
        ({"x_train": np.where(X == 7, np.nan, X)}, "NaN or infinite pixels in image 1"),
        ({"x_test": X[:3, :, :2]}, "images of x_train are (2, 3), those of x_test (2, 2)"),
        ({"x_train": np.ones_like(X)}, "all pixels of x_train are equal"),
        ({"y_train": Y[:5]}, "y_train must have shape (6,)"),
        ({"y_train": np.eye(6)[Y]}, "y_train must hold integers"),
        ({"y_train": Y.astype(float)}, "y_train must hold integers"),
        ({"y_train": Y - 1}, "y_train must count classes from 0, got -1"),
        ({"y_train": Y + 1}, "y_train has no image of class 0"),
        ({"y_train": 2 * (Y % 2)}, "y_train has no image of class 1"),
        ({"y_train": Y * 10**9}, "without gaps"),
        ({"y_train": 0 * Y}, "one class only"),
        ({"y_test": np.array([0, 1, 3])}, "y_test has class 3"),
    ],
)
def test_what_is_wrong_with_an_archive_is_named(tmp_path, changes, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        load(archive(tmp_path, **changes))


def test_a_damaged_archive_is_refused(tmp_path):
    whole = archive(tmp_path).read_bytes()
    middle = whole.index(b"\x93NUMPY") + 200  # inside the first array, which has a checksum
    changed = whole[:middle] + bytes([whole[middle] ^ 255]) + whole[middle + 1 :]
    for raw in (b"", b"text", whole[:-30], whole[: len(whole) // 2], changed):
        (tmp_path / "own.npz").write_bytes(raw)
        with pytest.raises(ValueError, match="damaged"):
            load(tmp_path / "own.npz")
    np.save(tmp_path / "one.npy", X)
    with pytest.raises(ValueError, match="holds one array"):
        load(tmp_path / "one.npy")


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: load("mnits"), ValueError, "did you mean mnist"),
        (lambda: load("cifar10"), ValueError, "unknown.*mnist or mnist-60k.*npz"),
        (lambda: load("digits"), ValueError, r"unknown.*numpy\.savez\(path, x_train="),
        (lambda: load("mnist", "normalized"), ValueError, "standardized, unit, raw"),
        (lambda: load("nowhere.npz"), FileNotFoundError, "nowhere.npz"),
        (lambda: checksums("cifar10"), ValueError, "unknown"),
    ],
)
def test_unknown_names_are_answered_with_known_ones(call, error, message):
    with pytest.raises(error, match=message):
        call()
