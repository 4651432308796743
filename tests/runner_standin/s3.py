# SPDX-License-Identifier: GPL-3.0-or-later
"""Pre-signed requests to an S3 server (AWS Signature Version 4 in the query), as GitLab Runner makes them."""

from __future__ import annotations

import datetime
import hashlib
import hmac
import ssl
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Mapping
from typing import Any

_TIMEOUT = 60.0
_EXPIRES = 3600  # seconds


class S3Error(Exception):
    """The server refused the request, or did not answer."""


def presigned_url(settings: Mapping[str, Any], method: str, name: str, now: datetime.datetime) -> str:
    """A URL with which anybody can do this with this object for an hour.

    settings: `[runners.cache.s3]`. name: of the object in the bucket. Addresses are path-style.
    """
    server = settings["ServerAddress"]
    region = settings.get("BucketLocation") or "us-east-1"
    time = now.strftime("%Y%m%dT%H%M%SZ")
    scope = f"{time[:8]}/{region}/s3/aws4_request"
    query = {
        "X-Amz-Algorithm": "AWS4-HMAC-SHA256",
        "X-Amz-Credential": f"{settings['AccessKey']}/{scope}",
        "X-Amz-Date": time,
        "X-Amz-Expires": str(_EXPIRES),
        "X-Amz-SignedHeaders": "host",
    }
    if token := settings.get("SessionToken"):
        query["X-Amz-Security-Token"] = token
    path = urllib.parse.quote(f"/{settings['BucketName']}/{name}", safe="/-_.~")
    encoded = "&".join(f"{_quoted(key)}={_quoted(query[key])}" for key in sorted(query))
    request = "\n".join([method, path, encoded, f"host:{server}", "", "host", "UNSIGNED-PAYLOAD"])
    signed = "\n".join(["AWS4-HMAC-SHA256", time, scope, hashlib.sha256(request.encode()).hexdigest()])
    key = f"AWS4{settings['SecretKey']}".encode()
    for part in scope.split("/"):
        key = _mac(key, part)
    scheme = "http" if settings.get("Insecure") else "https"
    return f"{scheme}://{server}{path}?{encoded}&X-Amz-Signature={_mac(key, signed).hex()}"


def get(url: str, trust: ssl.SSLContext | None = None) -> bytes | None:
    """The object, None where there is none. Raises S3Error."""
    return _send(urllib.request.Request(url), trust)


def put(url: str, content: bytes, trust: ssl.SSLContext | None = None) -> None:
    """Store the object. Raises S3Error."""
    headers = {"Content-Type": "application/octet-stream"}
    if _send(urllib.request.Request(url, content, headers, method="PUT"), trust) is None:
        raise S3Error("there is no such bucket")


def _send(request: urllib.request.Request, trust: ssl.SSLContext | None) -> bytes | None:
    try:
        with urllib.request.urlopen(request, timeout=_TIMEOUT, context=trust) as reply:
            return bytes(reply.read())
    except urllib.error.HTTPError as error:
        if error.code == 404:
            return None
        raise S3Error(f"received: {error.code} {error.reason}") from error
    except OSError as error:
        raise S3Error(str(error)) from error


def _mac(key: bytes, text: str) -> bytes:
    return hmac.new(key, text.encode(), hashlib.sha256).digest()


def _quoted(text: str) -> str:
    return urllib.parse.quote(text, safe="-_.~")
