"""Pages: certificates of a cluster, requests for a company's CA, and what it signed."""

from __future__ import annotations

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_POST

from accounts.actors import actor_of
from accounts.errors import Conflict
from accounts.forms import show_errors
from accounts.permissions import needs
from accounts.requests import TenantRequest
from installs import certificates
from installs.forms import SignedForm
from installs.models import Certificate
from installs.pki.reading import Unreadable, read_certificates
from installs.views import rights, the_cluster


@needs("cluster.view", POST="cluster.change")
def certificate_list(request: TenantRequest, cluster_id: int) -> HttpResponse:
    """Certificates with their end and names; POST takes what a company's CA signed."""
    cluster = the_cluster(request, cluster_id)
    form = SignedForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            signed = by_host(form.cleaned_data["certificates"])
            authority = form.cleaned_data["authority"]
            certificates.accept_signed(by=actor_of(request), cluster=cluster, authority=authority, signed=signed)
            messages.success(request, f"{len(signed)} certificates are taken; hosts get them with the next run.")
            return redirect("cluster-certificates", cluster.pk)
        except (ValidationError, Conflict) as error:
            show_errors(form, error)
    rows = Certificate.objects.filter(cluster=cluster).exclude(state=Certificate.State.REPLACED)
    shown = {
        "cluster": cluster,
        "certificates": rows,
        "requested": sum(row.state == Certificate.State.REQUESTED for row in rows),
        "is_own": any(row.kind == Certificate.Kind.AUTHORITY and row.source == Certificate.Source.OWN for row in rows),
        "findings": certificates.check_certificates(cluster),
        "form": form,
    }
    return render(request, "installs/certificates.html", shown | rights(request), status=400 if form.errors else 200)


@require_POST
@needs("cluster.change")
def certificates_renew(request: TenantRequest, cluster_id: int) -> HttpResponse:
    """Have the cluster's own CA make all hosts' certificates anew; it is made if need be."""
    made = certificates.ensure_certificates(
        by=actor_of(request), cluster=the_cluster(request, cluster_id), is_renewal=True
    )
    if made:
        messages.success(request, f"{len(made)} certificates are made; hosts get them with the next run.")
    else:
        messages.warning(request, "The certificates of this cluster come from your own CA: renew them there.")
    return redirect("cluster-certificates", cluster_id)


@require_POST
@needs("cluster.change")
def certificate_requests(request: TenantRequest, cluster_id: int) -> HttpResponse:
    """All signing requests in one file."""
    cluster = the_cluster(request, cluster_id)
    requests = certificates.request_certificates(by=actor_of(request), cluster=cluster)
    text = "\n".join(f"# {host}\n{pem}" for host, pem in requests.items())
    reply = HttpResponse(text, content_type="application/pkcs10")
    reply["Content-Disposition"] = f'attachment; filename="{cluster.name}-requests.pem"'
    return reply


@needs("cluster.view")
def certificate_authority(request: TenantRequest, cluster_id: int) -> HttpResponse:
    """The CA's certificate as a file, for clients; never its key."""
    cluster = the_cluster(request, cluster_id)
    row = certificates.current(cluster, Certificate.Kind.AUTHORITY, certificates.AUTHORITY)
    if row is None:
        messages.warning(request, "The cluster has no CA yet: it is made when certificates are.")
        return redirect("cluster-certificates", cluster_id)
    reply = HttpResponse(row.pem, content_type="application/x-pem-file")
    reply["Content-Disposition"] = f'attachment; filename="{cluster.name}-ca.crt"'
    return reply


def by_host(text: str) -> dict[str, str]:
    """Each certificate of the text under its common name; ValidationError where that is none or there twice."""
    try:
        found = read_certificates(text)
    except Unreadable as problem:
        raise ValidationError({"certificates": f"This holds no certificates: {problem}."}) from None
    pems = [block + "-----END CERTIFICATE-----\n" for block in text.split("-----END CERTIFICATE-----")[:-1]]
    signed: dict[str, str] = {}
    for certificate, pem in zip(found, pems, strict=True):
        name = certificate.common_name
        if not name or name in signed:
            raise ValidationError(
                {
                    "certificates": f"{'Two certificates have' if name else 'One has no'} common name {name}. Paste each once."
                }
            )
        signed[name] = pem[pem.index("-----BEGIN") :]
    return signed
