"""Services and versions: content by digest, schema read from the blueprint, refusals in words."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import pytest
from django.core.exceptions import ValidationError

from accounts.errors import Conflict
from accounts.models import AuditEntry
from deployon import catalogue
from deployon.models import Service, ServiceVersion
from tests.deployon import factories as make
from tests.factories import actor

pytestmark = pytest.mark.django_db
HELLO = Path(__file__).resolve().parents[2] / "examples" / "hello-edge"


def packed(folder: Path = HELLO, **changed: str) -> bytes:
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w:gz") as pack:
        pack.add(folder, folder.name)
        for name, text in changed.items():
            member = tarfile.TarInfo(f"{folder.name}/{name}")
            member.size = len(text)
            pack.addfile(member, io.BytesIO(text.encode()))
    return content.getvalue()


def source(content: bytes, **more) -> catalogue.Source:
    return catalogue.Source(content=content, file_name="hello-edge.tar.gz", **more)


def test_a_service_learns_its_inputs_and_capabilities_from_the_blueprint(alice, acme):
    version = catalogue.register_service(by=actor(alice), tenant=acme, name="hello-edge", source=source(packed()))

    assert version.number == 1
    assert version.inputs_schema["greeting"]["default"] == "Hello from the edge"
    assert version.inputs_schema["warm_up_seconds"]["type"] == "integer"
    assert version.capabilities == ["greeting", "page", "started_at"]
    assert version.service.description.startswith("A page that greets")
    assert set(AuditEntry.objects.filter(chain="acme").values_list("action", flat=True)) >= {
        "service.create",
        "service.add_version",
    }


def test_the_same_content_again_is_the_same_version_and_other_content_the_next(alice, acme):
    content = packed()
    first = catalogue.register_service(by=actor(alice), tenant=acme, name="hello-edge", source=source(content))

    again, is_new = catalogue.add_version(by=actor(alice), service=first.service, source=source(content))
    assert (again.pk, is_new) == (first.pk, False)
    other, is_new = catalogue.add_version(
        by=actor(alice), service=first.service, source=source(packed(**{"more.txt": "2"}))
    )
    assert (other.number, is_new) == (2, True)
    assert ServiceVersion.objects.count() == 2


def test_a_blueprint_that_does_not_parse_is_refused_in_words(alice, acme):
    bad = packed(
        **{"broken.yaml": "tosca_definitions_version: cloudify_dsl_1_4\nnode_templates: {a: {type: none.such}}\n"}
    )
    with pytest.raises(ValidationError) as caught:
        catalogue.register_service(
            by=actor(alice), tenant=acme, name="bad", source=source(bad, main_file="broken.yaml")
        )
    assert "does not parse" in caught.value.message_dict["archive"][0]
    assert not Service.objects.exists()


@pytest.mark.parametrize(
    ("content", "main_file", "field", "said"),
    [
        (b"not an archive", "", "archive", "unrecognized format"),
        (packed(), "other.yaml", "main_file", "blueprint.yaml"),
    ],
)
def test_an_archive_of_the_wrong_kind_is_refused(alice, acme, content, main_file, field, said):
    with pytest.raises(ValidationError) as caught:
        catalogue.register_service(
            by=actor(alice), tenant=acme, name="bad", source=source(content, main_file=main_file)
        )
    assert said in caught.value.message_dict[field][0]


def test_an_archive_that_is_too_large_is_refused_before_it_is_read(alice, acme, settings):
    settings.ARCHIVE_MAX_BYTES = 100
    with pytest.raises(ValidationError, match="larger than"):
        catalogue.register_service(by=actor(alice), tenant=acme, name="big", source=source(packed()))


@pytest.mark.parametrize("name", ["", "1st", "with blank", "a/b", "x" * 201])
def test_a_name_that_is_no_remote_id_is_refused(alice, acme, name):
    with pytest.raises(ValidationError) as caught:
        catalogue.register_service(
            by=actor(alice), tenant=acme, name=name, source=catalogue.Source(remote_blueprint="app")
        )
    assert "name" in caught.value.message_dict


def test_exactly_one_source_is_taken(alice, acme):
    for wrong in (catalogue.Source(), catalogue.Source(content=b"x", remote_blueprint="app")):
        with pytest.raises(ValidationError, match="one of the two"):
            catalogue.register_service(by=actor(alice), tenant=acme, name="app", source=wrong)


def test_a_taken_name_is_a_conflict_in_its_own_tenant_alone(alice, acme, charlie, other):
    present = catalogue.Source(remote_blueprint="app")
    catalogue.register_service(by=actor(alice), tenant=acme, name="app", source=present)
    catalogue.register_service(by=actor(charlie), tenant=other, name="app", source=present)
    with pytest.raises(Conflict):
        catalogue.register_service(by=actor(alice), tenant=acme, name="app", source=present)


def test_a_service_that_stands_somewhere_is_not_forgotten(alice, acme, double, drive):
    make.environment(double, acme)
    version = make.version(acme)
    unused = make.version(acme, "unused")
    drive(make.rollout(alice, version))

    with pytest.raises(Conflict, match="Uninstall"):
        catalogue.delete_service(by=actor(alice), service=version.service)
    catalogue.delete_service(by=actor(alice), service=unused.service)
    assert list(Service.objects.values_list("name", flat=True)) == ["hello"]
