"""Forms of the blueprint pages: one to upload, one to deploy from."""

from __future__ import annotations

from typing import Any

from django import forms
from django.conf import settings
from django.core.files.uploadedfile import UploadedFile

from accounts.models import Tenant, User, Visibility
from accounts.roles import may
from inventory.connectors.fetching import without_login
from inventory.forms import parse_labels
from inventory.models import Site
from inventory.names import MAX_LENGTH
from orchestration.archives import ArchiveError, packed_alone
from orchestration.blueprints import DEFAULT_MAIN_FILE
from orchestration.folders import kind_of

SEEN_BY = {
    Visibility.PRIVATE: "Me and administrators",
    Visibility.TENANT: "Everybody of this tenant",
    Visibility.GLOBAL: "Every tenant",
}
YAML = (".yaml", ".yml")


class NamedForm(forms.Form):
    """What a blueprint and a deployment have in common: an id, labels, who sees it."""

    wire_id = forms.CharField(label="Id", max_length=MAX_LENGTH, help_text="Letters, digits, - . _")
    labels = forms.CharField(
        required=False,
        widget=forms.Textarea(attrs={"rows": 2, "placeholder": "env=prod"}),
        help_text="One key=value a line",
    )
    visibility = forms.ChoiceField(label="Seen by", initial=Visibility.TENANT)

    def __init__(self, *args: Any, user: User, tenant: Tenant, widest: str = Visibility.GLOBAL, **more: Any) -> None:
        """`widest`: nobody else may see it."""
        super().__init__(*args, **more)
        order = list(SEEN_BY)
        offered = order[: order.index(Visibility(widest)) + 1]
        if not may(user, "global.create", tenant):
            offered = [one for one in offered if one != Visibility.GLOBAL]
        self.fields["visibility"] = forms.ChoiceField(
            label="Seen by",
            choices=[(str(one), SEEN_BY[one]) for one in offered],
            initial=Visibility.TENANT if Visibility.TENANT in offered else offered[-1],
        )

    def clean_labels(self) -> list[tuple[str, str]]:
        return parse_labels(self.cleaned_data["labels"])


class UploadForm(NamedForm):
    """A blueprint: an archive, a single YAML file, or an archive at a URL."""

    source = forms.ChoiceField(
        choices=[("file", "A file of mine"), ("url", "An archive at a URL")],
        initial="file",
        widget=forms.RadioSelect(attrs={"data-shows": ""}),
    )
    archive = forms.FileField(
        label="File",
        required=False,
        help_text="zip, tar, tar.gz or tar.bz2 with one folder at the top, or a single YAML file",
    )
    url = forms.CharField(
        label="URL",
        required=False,
        max_length=2048,
        help_text="http or https; a user and password in it are used once and not stored",
    )
    main_file = forms.CharField(
        label="Main file", required=False, max_length=256, help_text=f"Left empty: {DEFAULT_MAIN_FILE}"
    )

    def clean(self) -> dict[str, Any]:
        data = super().clean() or {}
        data["content"], data["file_name"] = b"", ""
        if data.get("source") == "url":
            if not data.get("url"):
                self.add_error("url", "Enter the URL of the archive.")
            return data
        data["url"], archive = "", data.get("archive")
        if archive is None:
            self.add_error("archive", "Choose the file of the blueprint.")
        elif archive.size > settings.ARCHIVE_MAX_BYTES:
            self.add_error(
                "archive", f"The file is larger than {settings.ARCHIVE_MAX_BYTES // 2**20} MB. Make it smaller."
            )
        else:
            self.read(archive, data)
        return data

    def ask_again(self) -> None:
        """A login that was typed into a URL is not shown again: say so."""
        typed = str(self.data.get("url", "")).strip()
        if typed and typed != without_login(typed):
            self.data = self.data.copy()  # type: ignore[attr-defined]
            self.data["url"] = without_login(typed)  # type: ignore[index]
            self.add_error("url", "What may hold a secret was taken out of it: enter the whole URL again.")

    def read(self, archive: UploadedFile, data: dict[str, Any]) -> None:
        """The bytes of the archive; a YAML file is made the only one of an archive."""
        content, name = archive.read(), archive.name or ""
        if not kind_of(content) and name.lower().endswith(YAML):
            try:
                content = packed_alone(name, content)
            except ArchiveError as error:
                self.add_error("archive", str(error))
                return
            data["main_file"] = name
        data["content"], data["file_name"] = content, name


class DeployForm(NamedForm):
    """A deployment of a blueprint; its inputs are a form of their own."""

    display_name = forms.CharField(label="Name", required=False, max_length=MAX_LENGTH, help_text="As people read it")
    site = forms.ModelChoiceField(required=False, queryset=Site.objects.none(), empty_label="No site")
    install = forms.BooleanField(label="Install it as soon as it is prepared", required=False, initial=True)
    field_order = ("wire_id", "display_name", "site", "labels", "visibility", "install")

    def __init__(self, *args: Any, user: User, tenant: Tenant, **more: Any) -> None:
        super().__init__(*args, user=user, tenant=tenant, **more)
        self.fields["labels"].help_text = "One key=value a line; csys-obj-parent=ID puts it on an environment"
        site = self.fields["site"]
        assert isinstance(site, forms.ModelChoiceField)
        site.queryset = Site.objects.visible_to(user, tenant).order_by("name")
