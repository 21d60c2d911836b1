"""The form of a file that describes things: chosen or pasted, YAML or CSV."""

from __future__ import annotations

from typing import Any

from django import forms


class FileForm(forms.Form):
    """A description as a file or as its text."""

    file = forms.FileField(required=False)
    text = forms.CharField(
        label="or its text", required=False, strip=False,
        widget=forms.Textarea(attrs={"rows": 14, "spellcheck": "false"}),
    )  # fmt: skip
    format = forms.ChoiceField(choices=[("yaml", "YAML: everything"), ("csv", "CSV: a line each")], initial="yaml")

    def clean(self) -> dict[str, Any]:
        data = super().clean() or {}
        if data.get("file"):
            try:
                data["text"] = data["file"].read().decode("utf-8-sig")
            except UnicodeDecodeError:
                self.add_error("file", "This file is no text in UTF-8. Export it as YAML or CSV.")
        elif not data.get("text"):
            self.add_error("text", "Choose a file, or paste its text.")
        return data

    def keep_text(self) -> None:
        """Show the text of the file that was chosen, as a browser does not keep the choice itself."""
        self.data = {**self.data.dict(), "text": self.cleaned_data.get("text", "")}  # type: ignore[attr-defined]
