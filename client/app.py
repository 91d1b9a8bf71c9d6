"""The site's Flower ClientApp: routes messages to the site and returns its replies.

Only these message types are answered; anything else is an error of Flower's. A fault inside the
site leaves as a named code or, if unexpected, as ``site/internal`` without any text.
"""

import logging
import sys
import traceback
from collections.abc import Callable
from pathlib import Path

from flwr.app import ConfigRecord, Context, Message, RecordDict
from flwr.clientapp import ClientApp

from recommons.client.records.disk import is_full
from recommons.client.rounds.answering import answer
from recommons.client.site import Site
from recommons.common.bundle import SITES_SETTING
from recommons.common.errors import DataError, InvalidInput, RecommonsError
from recommons.common.wire import EXCHANGES, Envelope

__all__ = ["app"]

_RECORD = "recommons"
_log = logging.getLogger(__name__)


def _reply(message: Message, **fields: bytes | str) -> Message:
    return Message(RecordDict({_RECORD: ConfigRecord(dict(fields))}), reply_to=message)


def _request(message: Message, exchange: str) -> tuple[Envelope, bytes]:
    record = message.content.config_records.get(_RECORD)
    header = None if record is None else record.get("envelope")
    body = None if record is None else record.get("body")
    if not isinstance(header, bytes) or not isinstance(body, bytes):
        raise InvalidInput("site/message", "the request has no envelope or no body")
    envelope = Envelope.from_bytes(header)
    if envelope.exchange != exchange:
        raise InvalidInput(
            "site/message", f"exchange is {envelope.exchange!r} in a message of type {exchange!r}"
        )
    return envelope, body


def _site_folder(context: Context) -> Path:
    """The site's folder: the one its own operator named.

    Flower's simulation engine only numbers its virtual nodes. There, and nowhere else, the run's
    settings say where the folders are, and they are taken in the order of their names: a server
    must not choose what a real node opens.
    """
    named = context.node_config.get("site-dir")
    if named is not None:
        return Path(str(named))
    place, sites = context.node_config.get("partition-id"), context.run_config.get(SITES_SETTING)
    found = sorted(Path(str(sites)).glob("*/site.json")) if sites and _in_simulation() else []
    if not isinstance(place, int) or not 0 <= place < len(found):
        raise InvalidInput("site/folder", "the node's configuration names no site-dir")
    return found[place].parent


def _in_simulation() -> bool:
    """Whether this process is a worker of Ray's, in which Flower runs its virtual nodes."""
    ray = sys.modules.get("ray")
    return ray is not None and bool(ray.is_initialized())


def _handle(exchange: str) -> Callable[[Message, Context], Message]:
    def handle(message: Message, context: Context) -> Message:
        try:
            envelope, body = _request(message, exchange)
            with Site.open(_site_folder(context)) as site:
                return _reply(message, body=answer(site, envelope, body))
        except DataError as error:
            # Which of the data's faults it is depends on users: it stays in the site's own log.
            _log.warning("%s: %s", error.code, error.message)
            return _reply(message, refusal="site/data")
        except RecommonsError as error:
            _log.warning("%s: %s", error.code, error.message)
            return _reply(message, refusal=error.code)
        except Exception as error:  # noqa: BLE001 - nothing but a code may leave the site
            if is_full(error):
                _log.error("site/disk: %s", type(error).__name__)
                return _reply(message, refusal="site/disk")
            frame = traceback.extract_tb(error.__traceback__)[-1]
            _log.error("%s at %s:%d", type(error).__name__, frame.filename, frame.lineno)
            return _reply(message, refusal="site/internal")

    return handle


app = ClientApp()
for _exchange in EXCHANGES:
    app.train(_exchange)(_handle(_exchange))
