"""Fill the HTTP cache of `rocrate-validator` with the one page that it fetches, for a machine
without a network: the JSON-LD context of RO-Crates. The wheel of `rocrate` has that of version 1.3;
what the validator looks at is called otherwise in 1.1 where it is Bioschemas'.

    <python of the validator> fill_cache.py CACHE CONTEXT
"""

import sys
from io import BytesIO
from pathlib import Path

from requests import PreparedRequest, Response
from requests.adapters import BaseAdapter
from requests_cache import CachedSession
from urllib3 import HTTPResponse

URL = "https://w3id.org/ro/crate/1.1/context"


class OneFile(BaseAdapter):
    """Answers each request with the same file."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.path = path

    def send(self, request: PreparedRequest, **_: object) -> Response:
        response = Response()
        response.status_code, response.url, response.request = 200, request.url, request
        response.headers["Content-Type"] = "application/ld+json"
        text = self.path.read_text().replace("bioschemas.org/terms/", "bioschemas.org/")
        body = BytesIO(text.encode())
        response.raw = HTTPResponse(body=body, status=200, preload_content=False)
        return response

    def close(self) -> None:
        pass


if __name__ == "__main__":
    session = CachedSession(sys.argv[1], expire_after=-1)
    session.mount("https://", OneFile(Path(sys.argv[2])))
    assert session.get(URL, headers={"Accept": "application/ld+json"}).json()["@context"]
    assert session.get(URL).json()["@context"]
