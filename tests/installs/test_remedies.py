"""Failures on hosts that are known by their words: each has a way out."""

import pytest

from installs.remedies import explain


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ("tar: packages/x.deb: Cannot write: No space left on device", "A disk of n1 is full"),
        ("E: You don't have enough free space in /var/cache/apt/archives/.", "A disk of n1 is full"),
        (
            "E: Could not get lock /var/lib/dpkg/lock-frontend. It is held by process 812 (unattended-upgr)",
            "Another program on n1 holds apt's lock",
        ),
        ("E: Unable to acquire the dpkg frontend lock (/var/lib/dpkg/lock-frontend)", "holds apt's lock"),
        ("[ALERT] (41) : Starting frontend: cannot bind socket (Address already in use)", "`ss -tlnp` there names it"),
        ("listen tcp 10.0.0.1:2379: bind: address already in use", "Another program on n1 has a port"),
        ("sed: couldn't open temporary file: Read-only file system", "can only be read"),
        ("E: dpkg was interrupted, you must manually run 'dpkg --configure -a'", "dpkg --configure -a"),
        ("x509: certificate has expired or is not yet valid: current time 2020-01-01", "The clock of n1 may be wrong"),
    ],
)
def test_words_that_are_known_have_a_remedy_that_names_the_host(said, words):
    found = explain(f"Reading package lists\n  {said}\nit failed", "n1")
    assert words in found.remedy and found.line == said


def test_unknown_words_have_none():
    assert explain("segmentation fault", "n1") is None
