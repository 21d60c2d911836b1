"""Forms of the cluster pages; what they ask for is done by services."""

from __future__ import annotations

from typing import Any

from django import forms

from accounts.models import Secret, Tenant, User
from accounts.reads import visible_secrets
from installs.describing import described_external
from installs.form_fields import NetworksField, SettingsField
from inventory.file_forms import FileForm
from inventory.layout import Host, Part
from inventory.models import Cluster, ClusterNode, Site

PARTS = [
    (str(Part.ETCD), "etcd"),
    (str(Part.DATABASE), "database"),
    (str(Part.QUEUE), "queue"),
    (str(Part.MANAGER), "manager"),
    (str(Part.BALANCER), "balancer"),
]
SECRET = {"autocomplete": "off", "spellcheck": "false"}
RADIO = {"data-shows": ""}


class ClusterFields(forms.Form):
    """What a cluster is beside its hosts."""

    description = forms.CharField(required=False, max_length=500)
    site = forms.ModelChoiceField(required=False, queryset=Site.objects.none(), empty_label="No site")
    release = forms.ChoiceField(choices=Cluster.Release, initial=Cluster.Release.TRIXIE)
    failover = forms.ChoiceField(
        choices=Cluster.Failover,
        initial=Cluster.Failover.FAST,
        help_text="Fast: writes go on 20 to 32 s after a loss. Calm: bears stalls of 20 s, and goes on some 15 s later.",
    )
    is_strict = forms.BooleanField(label="Strict synchronous mode: rather no writes than a lost one", required=False)
    balancing = forms.ChoiceField(
        label="In front of the managers", choices=Cluster.Balancing, initial=Cluster.Balancing.OURS,
        widget=forms.RadioSelect,
    )  # fmt: skip
    entrance = forms.CharField(
        required=False, max_length=253,
        help_text="Name or address that users type; with two balancers of ours a free address that they hold",
    )  # fmt: skip

    service_settings = SettingsField(
        label="Settings of the management service",
        help_text="NAME=value, one a line; the next plan brings them to the managers",
    )

    def __init__(self, *args: Any, tenant: Tenant, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        field = self.fields["site"]
        assert isinstance(field, forms.ModelChoiceField)
        field.queryset = Site.objects.filter(tenant=tenant).order_by("name")


class SecretFields(forms.Form):
    """A form with fields that must not go back to the page."""

    secrets = ("private_key", "password", "sudo_password")

    def ask_again(self) -> None:
        """Take what is secret out of a form that is shown again, and say so."""
        names = [name for name in self.secrets if name in self.fields and self.data.get(self.add_prefix(name))]
        self.data = {**self.data.dict(), **dict.fromkeys(map(self.add_prefix, names), "")}  # type: ignore[attr-defined]
        for name in names:
            if name not in self.errors:
                self.add_error(name, "Enter it once more: what is secret is never sent back to the page.")


class ExternalFields(SecretFields):
    """One service that somebody else runs; left empty, it is a part of the cluster."""

    addresses = forms.CharField(required=False, max_length=1024, help_text="Where it answers, several with commas")
    port = forms.IntegerField(required=False, min_value=1, max_value=65535)
    management_port = forms.IntegerField(
        required=False, min_value=1, max_value=65535, help_text="RabbitMQ alone; with TLS, 15671 as a rule"
    )
    user_suffix = forms.CharField(
        required=False, max_length=253, help_text="PostgreSQL alone: @server, where user names carry one"
    )
    ca_bundle = forms.CharField(
        label="CA certificate", required=False, widget=forms.Textarea(attrs={"rows": 4, "spellcheck": "false"}),
        help_text="PEM of the authority that signed its certificate",
    )  # fmt: skip
    user = forms.CharField(label="Administrator", required=False, max_length=128, widget=forms.TextInput(attrs=SECRET))
    password = forms.CharField(
        required=False, strip=False, widget=forms.PasswordInput(attrs=SECRET, render_value=False)
    )

    def given(self) -> dict[str, Any] | None:
        """As installs.describing reads it, or None where the service is no external one."""
        data = dict(self.cleaned_data)
        addresses = [address.strip() for address in data["addresses"].split(",") if address.strip()]
        return data | {"addresses": addresses} if addresses else None

    @staticmethod
    def initial_of(external: Any) -> dict[str, Any]:
        told = described_external(external) or {}
        return told | {"addresses": ", ".join(told["addresses"])} if told else {}


class AccessFields(SecretFields):
    """How hosts are signed in to."""

    ssh_user = forms.CharField(label="User", required=False, max_length=64, help_text="root, or one who may use sudo")
    private_key_secret = forms.ModelChoiceField(
        label="Stored key", required=False, queryset=Secret.objects.none(), empty_label="None",
        to_field_name="name",
    )  # fmt: skip
    private_key = forms.CharField(
        label="or a private key", required=False, strip=False,
        widget=forms.Textarea(attrs={"rows": 3, **SECRET}),
        help_text="As ssh-keygen writes it, without a passphrase. Sealed when saved.",
    )  # fmt: skip
    password_secret = forms.ModelChoiceField(
        label="Stored password", required=False, queryset=Secret.objects.none(), empty_label="None",
        to_field_name="name",
    )  # fmt: skip
    password = forms.CharField(
        label="or a password", required=False, strip=False,
        widget=forms.PasswordInput(attrs=SECRET, render_value=False),
    )  # fmt: skip
    sudo_password = forms.CharField(
        label="Password for sudo", required=False, strip=False,
        widget=forms.PasswordInput(attrs=SECRET, render_value=False), help_text="Where sudo asks for another one",
    )  # fmt: skip

    def __init__(self, *args: Any, tenant: Tenant, user: User, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        stored = visible_secrets(user, tenant).filter(purpose=Secret.Purpose.CREDENTIAL).order_by("name")
        self.has_stored = stored.exists()
        for name in ("private_key_secret", "password_secret"):
            field = self.fields[name]
            assert isinstance(field, forms.ModelChoiceField)
            field.queryset = stored

    def given(self) -> dict[str, str]:
        """As installs.describing reads it."""
        data = dict(self.cleaned_data)
        for name in ("private_key_secret", "password_secret"):
            data[name] = data[name].name if data[name] else ""
        return data


class HostForm(forms.Form):
    """One host."""

    name = forms.CharField(max_length=63)
    private_address = forms.CharField(label="Private address", max_length=64)
    public_address = forms.CharField(label="Public address", required=False, max_length=64)
    parts = forms.MultipleChoiceField(choices=PARTS, required=False, widget=forms.CheckboxSelectMultiple)
    machine = forms.CharField(required=False, max_length=128)
    ssh_port = forms.IntegerField(label="SSH port", required=False, min_value=1, max_value=65535)
    networks = NetworksField()

    @staticmethod
    def initial_of(host: Host) -> dict[str, Any]:
        return {
            "name": host.name,
            "private_address": host.private_address,
            "public_address": host.public_address,
            "parts": sorted(str(part) for part in host.parts),
            "machine": host.machine,
            "ssh_port": host.ssh_port,
            "networks": dict(host.networks),
        }


HostForms = forms.formset_factory(HostForm, extra=0, max_num=100, absolute_max=200, can_delete=True)


class HostAccessFields(AccessFields):
    """The same for one host that has its own."""

    ssh_address = forms.CharField(
        label="SSH address", required=False, max_length=253, help_text="Where it is not the public address"
    )

    @staticmethod
    def initial_of(node: ClusterNode) -> dict[str, Any]:
        return {"ssh_user": node.ssh_user, "ssh_address": node.ssh_address}


class TopologyForm(forms.Form):
    """Which ready-made layout, and how many of what."""

    TOPOLOGIES = (
        ("distributed", "3 + 3 + N hosts"),
        ("compact", "Three compact hosts"),
        ("all_in_one", "All on one host"),
    )
    topology = forms.ChoiceField(choices=TOPOLOGIES, initial="compact", widget=forms.RadioSelect)
    managers = forms.IntegerField(label="Managers (N)", required=False, min_value=1, max_value=10, initial=3)
    balancers = forms.IntegerField(label="Hosts for balancers", required=False, min_value=0, max_value=2, initial=0)


class ImportForm(FileForm):
    """A file with a cluster's description."""

    format = forms.ChoiceField(choices=[("yaml", "YAML: everything"), ("csv", "CSV: a line a host")], initial="yaml")
    name = forms.CharField(
        label="Name of the cluster", required=False, max_length=63, help_text="For CSV, which has none of its own"
    )


class SignedForm(forms.Form):
    """What a company's CA made of the requests: everything in one text, in any order."""

    authority = forms.CharField(
        label="CA certificate", strip=False, widget=forms.Textarea(attrs={"rows": 5, "spellcheck": "false"})
    )
    certificates = forms.CharField(
        label="Signed certificates", strip=False, widget=forms.Textarea(attrs={"rows": 10, "spellcheck": "false"}),
        help_text="All of them after one another; each finds its host by its common name",
    )  # fmt: skip
