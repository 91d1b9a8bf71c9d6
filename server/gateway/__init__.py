"""The gateway: the one door to the coordinator from outside.

Flower's SuperLink serves its control, runtime and fleet interfaces on one port and authenticates
the last alone. It therefore listens on loopback, and sites meet this process instead:

- TLS 1.3 with client certificates of the federation's own authority, of sites that are members now;
- exactly the eight fleet calls that a site needs, by their exact bytes; anything else is not there;
- beside them the federation's releases, to read;
- a site's calls carry its own node key, fetch only messages that were delivered to it, and answer
  only those;
- sizes, rates and numbers of calls at once are bounded for each site.

It knows Flower's messages, and nothing of Recommons': what sites and coordinator tell each other is
signed and encrypted end to end below it (DESIGN, section 4).
"""

from recommons.server.gateway.application import Gateway
from recommons.server.gateway.limits import Limits
from recommons.server.gateway.members import Members
from recommons.server.gateway.serve import gateway_server
from recommons.server.gateway.upstream import SuperLink

__all__ = ["Gateway", "Limits", "Members", "SuperLink", "gateway_server"]
