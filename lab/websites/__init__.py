"""Web servers as IIS runs them, on loopback: what a site is bound to, and how HTTP Redirect answers.

model     sites, bindings, redirects, pages, and devices that end TLS before them; plain values
redirect  the Location that httpRedirect makes of a request
requests  the head of a request, read as http.sys reads it
server    listeners: which site a request belongs to, and what it answers

Bindings and redirects follow Microsoft's pages; where those are silent, published measurements or field notes, marked so.
"""

from lab.websites.model import Binding, Front, HttpRedirect, Page, Site, WebServer
from lab.websites.server import WebServers

__all__ = ["Binding", "Front", "HttpRedirect", "Page", "Site", "WebServer", "WebServers"]
