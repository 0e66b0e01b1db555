"""localstripe, the stateful fake of Stripe, for one test.

It listens on a free port of the loopback, which it prints, keeps nothing on disk, and ends with its
standard input. Two things that Stripe has and localstripe lacks are added: a repeated idempotency key is
answered with the first answer, and, for the tests, an answer can be lost on the way.
"""

import json
import logging
import os
import socket
import sys
import threading

from aiohttp import web
from localstripe import resources, server

resources.Store.dump_to_disk = lambda self: None

answers = {}
losses = []


@web.middleware
async def remember(request, handler):
    key = request.headers.get("Idempotency-Key")
    asked = (request.method, request.path, await request.read())
    if key in answers:
        before, status, body = answers[key]
        if before != asked:
            error = {"type": "idempotency_error", "message": "Keys are for one request."}
            return web.json_response({"error": error}, status=400)
        return web.Response(status=status, body=body, content_type="application/json")
    response = await handler(request)
    if key is not None:
        answers[key] = (asked, response.status, response.body)
    lost = next((part for part in losses if request.method == "POST" and part in request.path), None)
    if lost is not None:
        losses.remove(lost)
        request.transport.close()
    return response


async def lose(request):
    """The answer to the next request whose path has this in it is lost."""
    losses.append((await request.json())["path"])
    return web.Response()


async def asked(request):
    """How many different requests came with a key."""
    return web.json_response(len(answers))


server.app.middlewares.insert(0, remember)
server.app.router.add_post("/_config/lose", lose)
server.app.router.add_get("/_config/asked", asked)


def end_with_input():
    sys.stdin.read()
    os._exit(0)


threading.Thread(target=end_with_input, daemon=True).start()
# localstripe logs how its webhooks were received, and nothing else once the access log is off.
webhooks = logging.getLogger("aiohttp.access")
webhooks.setLevel(logging.INFO)
webhooks.addHandler(logging.StreamHandler(sys.stdout))

listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
listener.bind(("127.0.0.1", 0))
print(json.dumps({"port": listener.getsockname()[1]}), flush=True)
web.run_app(server.app, sock=listener, access_log=None, print=None)
