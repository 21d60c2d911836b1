"""Labels as columns of the lists of environments and deployments, and sorting by one of them."""

from __future__ import annotations

import re

import pytest

from inventory.models import Label
from tests.inventory import factories as inventory
from tests.orchestration import factories as make

pytestmark = [pytest.mark.django_db, pytest.mark.both_databases]
RINGS = {"d": [], "a": ["b"], "c": ["c", "a"], "b": ["d"]}  # the first value counts, and what has none is last


@pytest.fixture(params=["environments", "deployments"])
def path(request, acme, alice):
    """The list, with four rows that have labels `ring`."""
    for name, values in RINGS.items():
        labels = [("ring", value) for value in values]
        if request.param == "environments":
            inventory.environment(acme, name, labels, state="unreachable" if name == "d" else "ready")
        else:
            make.local(acme, name, labels=tuple(labels), by=alice)
    return f"/{request.param}/"


def names(page):
    return re.findall(r'class="nm cut"[^>]*>(\w)</a>', page)


def test_the_head_of_a_column_sorts_by_it_turns_it_round_and_gives_the_usual_order_back(signed_in, alice, path):
    client = signed_in(alice)
    usual = client.get(f"{path}?column=ring&page=1").text
    assert "Remove the column ring" in usual and "aria-sort" not in usual and "c</span>" in usual
    seen, page = [], usual
    for direction in ("ascending", "descending"):
        link = re.search(r'<th class="nowrap"[^>]*><a class="on-link" href="([^"]*)"', page)[1].replace("&amp;", "&")
        page = client.get(f"{path}{link}").text
        assert f'aria-sort="{direction}"' in page and 'name="sort"' in page
        seen.append(names(page))
    assert seen == [["c", "a", "b", "d"], ["b", "a", "c", "d"]]
    link = re.search(r'<th class="nowrap"[^>]*><a class="on-link" href="([^"]*)"', page)[1]
    assert "sort" not in link and names(client.get(f"{path}{link}").text) == names(usual)


def test_a_column_that_is_not_shown_is_not_sorted_by(signed_in, alice, path):
    client = signed_in(alice)
    usual = names(client.get(path).text)
    for odd in (
        "sort=label:ring",
        "column=env&sort=label:ring",
        "column=ring&sort=nonsense",
        "column=ring&sort=label:",
    ):
        page = client.get(f"{path}?{odd}")
        assert page.status_code == 200 and names(page.text) == usual and "aria-sort" not in page.text


def test_pages_of_a_sorted_list_do_not_overlap(signed_in, alice, acme, path):
    of = inventory.environment if path == "/environments/" else make.local
    for number in range(56):
        of(acme, f"n{number}")
    Label.objects.filter(key="ring").delete()
    client = signed_in(alice)
    pages = [client.get(f"{path}?column=ring&sort=-label:ring&page={number}").text for number in (1, 2)]
    found = [name for page in pages for name in re.findall(r'class="nm cut"[^>]*>(\w+)</a>', page)]
    assert len(found) == len(set(found)) == 60
