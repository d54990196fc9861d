"""Start a local S3 server, of moto."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, MutableMapping
from contextlib import contextmanager


@contextmanager
def s3_server() -> Iterator[Mapping[str, str]]:
    """The variables with which boto and s3fs find it."""
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer("127.0.0.1", port=0, verbose=False)
    server.start()
    _, port = server.get_host_and_port()
    try:
        yield {
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
            "AWS_ACCESS_KEY_ID": "tester",
            "AWS_SECRET_ACCESS_KEY": "a-secret-key",
            "AWS_DEFAULT_REGION": "us-east-1",
            "NO_PROXY": "127.0.0.1",
        }
    finally:
        server.stop()


@contextmanager
def bucket_of(environment: MutableMapping[str, str]) -> Iterator[str]:
    """The URL of a folder in an empty bucket. ``environment`` gets the variables, so that commands find it."""
    import boto3

    logging.getLogger("werkzeug").setLevel(logging.ERROR)  # it logs each request
    with s3_server() as variables:
        environment.update(variables)
        boto3.client("s3").create_bucket(Bucket="state")
        yield "s3://state/audience_sync"
