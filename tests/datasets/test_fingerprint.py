"""Whether two sets of pictures are the same."""

from pathlib import Path

from unblur.datasets.fingerprint import compute_fingerprint


def test_a_fingerprint_changes_with_names_sizes_and_order_alone(tmp_path: Path) -> None:
    short, long = tmp_path / "short", tmp_path / "long"
    short.write_bytes(b"1")
    long.write_bytes(b"12")
    sets = [
        [("a", [short]), ("b", [long])],
        [("b", [long]), ("a", [short])],
        [("a", [short]), ("c", [long])],
        [("a", [long]), ("b", [long])],
        [("a", [short, long])],
        [],
    ]
    assert len({compute_fingerprint(one) for one in sets}) == len(sets)
    before = compute_fingerprint(sets[0])
    copy = tmp_path / "copy"
    copy.write_bytes(b"2")
    assert compute_fingerprint([("a", [copy]), ("b", [long])]) == before


def test_a_file_that_is_missing_is_somebody_elses_concern(tmp_path: Path) -> None:
    assert compute_fingerprint([("a", [tmp_path / "nothing"])]) != compute_fingerprint([])
