"""MLflow's REST protocol: where a server is, its one HTTP client, and its messages as our types."""

from nbtrack.wire.address import Address, is_address, parse_address
from nbtrack.wire.http import Http, ServerError

__all__ = ["Address", "Http", "ServerError", "is_address", "parse_address"]
