from tests.naive_secagg.probe import X


def test_a():
    assert X
