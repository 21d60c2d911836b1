"""TLS to several brokers: which name each is checked against, and what the settings make of an address."""

from __future__ import annotations

import ssl
import subprocess
import sys

import pytest
from kombu import Connection

from portal.broker import VerifyingTransport, register


class Refused(Exception):
    """Stands for a broker that does not answer."""


def test_each_of_several_brokers_is_checked_against_its_own_name(monkeypatch):
    asked = []

    class Recorder:
        def __init__(self, **options):
            asked.append((options["host"], options["ssl"]["server_hostname"], options["ssl"]["cert_reqs"]))

        def connect(self):
            raise Refused

    monkeypatch.setattr(VerifyingTransport, "Connection", Recorder)
    monkeypatch.setattr(VerifyingTransport, "recoverable_connection_errors", (Refused,))
    monkeypatch.setattr(VerifyingTransport, "connection_errors", (Refused,))
    register()
    options = {"cert_reqs": ssl.CERT_REQUIRED}
    with Connection("amqps://u:p@mq1.example:5671/v;amqps://u:p@mq2.example:5671/v", ssl=options) as connection:
        assert isinstance(connection.transport, VerifyingTransport)
        with pytest.raises(Refused):
            connection.ensure_connection(
                max_retries=2, interval_start=0, interval_step=0, reraise_as_library_errors=False
            )
    assert {(host, name) for host, name, _ in asked} == {
        ("mq1.example:5671", "mq1.example"),
        ("mq2.example:5671", "mq2.example"),
    }
    assert {mode for _, _, mode in asked} == {ssl.CERT_REQUIRED}


@pytest.mark.parametrize(("address", "expected"), [("amqps://u:p@h/v", "2 /x/ca.crt"), ("amqp://u:p@h/v", "none")])
def test_an_address_with_tls_demands_a_certificate_of_the_given_authority(tmp_path, address, expected):
    code = (
        "from portal import settings; use = getattr(settings, 'CELERY_BROKER_USE_SSL', None); "
        "print('none' if use is None else f\"{int(use['cert_reqs'])} {use['ca_certs']}\")"
    )
    env = {"BROKER_URL": address, "BROKER_CA": "/x/ca.crt", "DATA_DIR": str(tmp_path), "ENV_FILE": "none", "PATH": ""}
    found = subprocess.run(
        [sys.executable, "-c", code], env=env, capture_output=True, text=True, timeout=60, check=True
    )
    assert found.stdout.strip() == expected


def test_a_worker_declares_nothing_at_brokers_that_it_does_not_work_with():
    """It took half a minute for one that is lost, so that a worker's own connection was given up meanwhile, whenever it had connected anew."""
    from celery.worker.consumer import Consumer as Usual

    from portal.celery import Consumer, app

    assert app.conf.worker_consumer == "portal.celery:Consumer"
    left_out = {"celery.worker.consumer.delayed_delivery:DelayedDelivery"}
    assert set(Usual.Blueprint.default_steps) - set(Consumer.Blueprint.default_steps) == left_out
