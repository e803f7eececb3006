"""Makes a bot that knows one document, over the documented routes, and prints its id."""

import json
import sys
import time
import urllib.request


def call(method, path, body=None):
    data = None if body is None else json.dumps(body).encode()
    headers = {"Content-Type": "application/json"}
    request = urllib.request.Request(sys.argv[1] + path, data, headers, method=method)
    with urllib.request.urlopen(request, timeout=300) as reply:
        return json.load(reply)


bot = call("POST", "/bots", {})["bot_id"]
job = call("POST", f"/bots/{bot}/documents/path", {"path": sys.argv[2]})["job_id"]
while (state := call("GET", f"/jobs/{job}"))["status"] in ("pending", "processing"):
    time.sleep(0.2)
assert state["status"] == "success", state
call("POST", f"/bots/{bot}/build", {})
print(bot)
