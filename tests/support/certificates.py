"""Certificates for servers on this machine, made by the `openssl` command: one that is right, and each way to be wrong."""

from __future__ import annotations

import ssl
import subprocess
from pathlib import Path

KINDS = ("right", "expired", "not yet valid", "wrong host", "self-signed")

_DATES = {"expired": ("20200101000000Z", "20200201000000Z"), "not yet valid": ("20900101000000Z", "20900201000000Z")}
_CONFIG = """
[ca]
default_ca = here
[here]
database = {folder}/index.txt
new_certs_dir = {folder}
rand_serial = yes
default_md = sha256
policy = any
unique_subject = no
copy_extensions = copy
[any]
commonName = supplied
"""


class Authority:
    """An authority of its own below `folder`. `trust` is a client's context that trusts it and nobody else."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        (folder / "ca.cnf").write_text(_CONFIG.format(folder=folder))
        (folder / "index.txt").touch()
        self._make("authority", "/CN=authority of a test", "-x509", "-addext", "keyUsage=critical,keyCertSign")
        self.trust = ssl.create_default_context(cafile=str(folder / "authority.crt"))

    def server(self, kind: str) -> ssl.SSLContext:
        """The context of a server that shows a certificate of one of `KINDS`, asked as localhost."""
        name = kind.replace(" ", "-")
        host = "elsewhere.example" if kind == "wrong host" else "localhost"
        extension = ("-addext", f"subjectAltName=DNS:{host}")
        if kind == "self-signed":
            self._make(name, f"/CN={host}", "-x509", *extension)
        else:
            self._make(name, f"/CN={host}", *extension)
            start, end = _DATES.get(kind, ("20200101000000Z", "20900101000000Z"))
            signed = ("-in", f"{name}.crt", "-out", f"{name}.pem", "-cert", "authority.crt", "-keyfile", "authority.key")
            self._openssl("ca", "-batch", "-notext", "-config", "ca.cnf", *signed, "-startdate", start, "-enddate", end)
            (self._folder / f"{name}.pem").replace(self._folder / f"{name}.crt")
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self._folder / f"{name}.crt", self._folder / f"{name}.key")
        return context

    def _make(self, name: str, subject: str, *more: str) -> None:
        key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", f"{name}.key")
        self._openssl("req", *key, "-out", f"{name}.crt", "-subj", subject, *more)

    def _openssl(self, *arguments: str) -> None:
        subprocess.run(["openssl", *arguments], cwd=self._folder, check=True, capture_output=True)
