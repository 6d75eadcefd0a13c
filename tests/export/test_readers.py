import io
import json
import pickle
import tarfile

import numpy as np
import pyarrow.parquet as pq
import pytest

from hashgrain.codes.errors import DataError
from hashgrain.export import readers
from hashgrain.export.readers import cifar_archive
from labelled_pictures import COARSE, FINE, PARENT, drawn, write_parquet
from pictures import file_bytes


def test_parquet_with_two_levels(tmp_path):
    data = readers.load(write_parquet(tmp_path, {"train": 9, "test": 5}), "test", 32)
    images, labels = drawn(5, seed=1)
    assert np.array_equal(data.images, images)
    assert np.array_equal(data.fine, labels)
    assert np.array_equal(data.coarse, np.array(PARENT)[labels])
    assert (data.fine_names, data.coarse_names) == (FINE, COARSE)


def test_parquet_with_one_level_makes_each_class_its_own_superclass(tmp_path):
    data = readers.load(write_parquet(tmp_path, {"train": 9}, two_levels=False), "train", 32)
    assert np.array_equal(data.fine, data.coarse)
    assert data.coarse_names == FINE


def test_hierarchy_file_gives_the_superclasses(tmp_path):
    source = write_parquet(tmp_path / "data", {"train": 9}, two_levels=False)
    hierarchy = tmp_path / "hierarchy.json"
    hierarchy.write_text(json.dumps({"dark": ["red_dark", "blue_dark"], "light": ["red_light", "blue_light"]}))
    data = readers.load(source, "train", 32, hierarchy)
    assert data.coarse_names == ("dark", "light")
    assert list(data.parent) == [0, 1, 0, 1]


@pytest.mark.parametrize(
    ("tree", "message"),
    [
        ({"dark": ["red_dark", "nosuch"]}, "'nosuch' under 'dark', but .* has no such class"),
        ({"a": ["red_dark"], "b": ["red_dark"]}, "'red_dark' under both 'a' and 'b'"),
        ({"a": ["red_dark"]}, "names no superclass for 3 classes"),
        (["a"], "must hold one JSON object"),
    ],
)
def test_hierarchy_that_does_not_fit_is_refused(tmp_path, tree, message):
    source = write_parquet(tmp_path / "data", {"train": 9}, two_levels=False)
    (tmp_path / "hierarchy.json").write_text(json.dumps(tree))
    with pytest.raises(DataError, match=message):
        readers.load(source, "train", 32, tmp_path / "hierarchy.json")


def test_parquet_that_is_cut_short_or_lacks_columns_is_refused(tmp_path):
    source = write_parquet(tmp_path, {"train": 9})
    file = next(source.glob("*.parquet"))
    with pytest.raises(DataError, match=r"holds no test\*\.parquet, only \['train"):
        readers.load(source, "test", 32)
    table = pq.read_table(file)
    pq.write_table(table.drop_columns(["coarse_label"]), file)
    with pytest.raises(DataError, match="needs label, or fine_label and coarse_label"):
        readers.load(source, "train", 32)
    file.write_bytes(file.read_bytes()[:-20])
    with pytest.raises(DataError, match="cannot read"):
        readers.load(source, "train", 32)


def test_damaged_picture_is_named(tmp_path):
    source = write_parquet(tmp_path, {"train": 3})
    file = next(source.glob("*.parquet"))
    rows = pq.read_table(file).to_pylist()
    rows[1]["img"]["bytes"] = rows[1]["img"]["bytes"][:-60]
    schema = pq.read_schema(file)
    pq.write_table(type(pq.read_table(file)).from_pylist(rows, schema), file)
    with pytest.raises(DataError, match="row 1: .*; repair or remove it"):
        readers.load(source, "train", 32)


def write_archive(path, packed=True):
    """A CIFAR-100 python archive of twelve pictures, laid out as the official one."""
    rng = np.random.default_rng(0)
    files = {
        "meta": {b"fine_label_names": [n.encode() for n in FINE], b"coarse_label_names": [n.encode() for n in COARSE]}
    }
    truth = {}
    for split in ("train", "test"):
        pixels = rng.integers(0, 256, (12, 3, 32, 32), np.uint8)
        fine = rng.permutation(np.arange(12) % 4).tolist()
        truth[split] = pixels.transpose(0, 2, 3, 1), fine
        files[split] = {
            b"data": pixels.reshape(12, -1),
            b"fine_labels": fine,
            b"coarse_labels": [PARENT[n] for n in fine],
        }
    blobs = {f"cifar-100-python/{name}": pickle.dumps(value, protocol=2) for name, value in files.items()}
    if packed:
        with tarfile.open(path, "w:gz") as tar:
            for name, blob in blobs.items():
                member = tarfile.TarInfo(name)
                member.size = len(blob)
                tar.addfile(member, io.BytesIO(blob))
        return path, truth
    for name, blob in blobs.items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_bytes(blob)
    return path / "cifar-100-python", truth


@pytest.mark.parametrize("packed", [True, False])
def test_official_archive_packed_and_unpacked(tmp_path, packed):
    path, truth = write_archive(tmp_path / "cifar-100-python.tar.gz" if packed else tmp_path, packed)
    data = readers.load(path, "test", 32)
    assert np.array_equal(data.images, truth["test"][0])
    assert list(data.fine) == truth["test"][1]
    assert list(data.parent) == list(PARENT)
    assert (data.fine_names, data.coarse_names) == (FINE, COARSE)


def test_archive_cut_short_is_refused(tmp_path):
    path, _ = write_archive(tmp_path / "cifar-100-python.tar.gz")
    path.write_bytes(path.read_bytes()[:5000])
    with pytest.raises(DataError, match="cut short or damaged"):
        readers.load(path, "train", 32)


def test_archive_that_wants_to_run_code_is_refused(tmp_path):
    path, _ = write_archive(tmp_path, packed=False)

    class Evil:
        def __reduce__(self):
            return (print, ("code ran",))

    (path / "train").write_bytes(pickle.dumps(Evil()))
    with pytest.raises(DataError, match="it wants to load builtins.print"):
        readers.load(path, "train", 32)


def test_download_is_checked_and_has_an_offline_path(tmp_path, monkeypatch):
    """The published address is replaced by a file: address, so that the real code fetches without a network."""
    source, truth = write_archive(tmp_path / "cifar-100-python.tar.gz")
    digest = __import__("hashlib").md5(source.read_bytes()).hexdigest()
    published = cifar_archive.ARCHIVES["cifar100"]
    cache = tmp_path / "cache"

    def publish(url, md5):
        archive = type(published)(**{**published.__dict__, "url": url, "md5": md5})
        monkeypatch.setitem(cifar_archive.ARCHIVES, "cifar100", archive)

    publish(source.as_uri(), "0" * 32)
    with pytest.raises(DataError, match=f"has MD5 {digest}, published is {'0' * 32}"):
        cifar_archive.download("cifar100", cache)
    assert list(cache.iterdir()) == []
    publish((tmp_path / "gone.tar.gz").as_uri(), digest)
    with pytest.raises(DataError, match="give the file's path instead of the name cifar100"):
        cifar_archive.download("cifar100", cache)
    publish(source.as_uri(), digest)
    monkeypatch.setenv("HASHGRAIN_CACHE", str(cache))
    monkeypatch.chdir(tmp_path)
    data = readers.load("cifar100", "train", 32)
    assert np.array_equal(data.images, truth["train"][0])


def write_tree(root, names):
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(file_bytes(drawn(1, 0)[0][0]))


def test_folder_tree_with_two_levels_and_splits(tmp_path):
    write_tree(
        tmp_path, ["train/pets/cat/1.png", "train/pets/dog/2.PNG", "train/cars/van/3.png", "test/pets/cat/9.png"]
    )
    (tmp_path / "train/pets/dog/notes.txt").write_text("not a picture")
    data = readers.load(tmp_path, "train", 32)
    assert data.fine_names == ("van", "cat", "dog")
    assert data.coarse_names == ("cars", "pets")
    assert list(data.fine) == [0, 1, 2]
    assert list(data.coarse) == [0, 1, 1]
    assert len(readers.load(tmp_path, "test", 32)) == 1


def test_folder_tree_with_one_level(tmp_path):
    write_tree(tmp_path, ["cat/1.png", "dog/2.png", "dog/3.png"])
    data = readers.load(tmp_path, "train", 32)
    assert (data.fine_names, data.coarse_names) == (("cat", "dog"), ("cat", "dog"))
    assert list(data.fine) == [0, 1, 1]


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ([], "holds no pictures in folders"),
        (["cat/1.png", "pets/dog/2.png"], "mixes pictures in class folders"),
        (["pets/cat/1.png", "wild/cat/2.png"], "class 'cat' stands under two superclasses"),
    ],
)
def test_folder_tree_that_cannot_be_read_as_classes(tmp_path, names, message):
    write_tree(tmp_path, names)
    with pytest.raises(DataError, match=message):
        readers.load(tmp_path, "train", 32)


def test_unknown_source_names_what_is_possible(tmp_path):
    with pytest.raises(DataError, match=r"no data at .*: give a folder of Parquet files.*cifar100"):
        readers.load(tmp_path / "nowhere", "train", 32)


def test_real_cifar100(cifar100):
    data = readers.load(cifar100, "test", 32)
    assert data.images.shape == (10_000, 32, 32, 3)
    assert np.array_equal(np.bincount(data.fine), np.full(100, 100))
    assert np.array_equal(np.bincount(data.coarse), np.full(20, 500))
    assert data.coarse_names[data.parent[data.fine_names.index("dolphin")]] == "aquatic_mammals"
