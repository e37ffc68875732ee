"""Streams of the Python client (PyPI: kubernetes) into the pods of stream-pods.ts. Prints what it has seen as JSON."""

import json

from kubernetes import client, config, watch
from kubernetes.stream import portforward, stream

config.load_kube_config()
api = client.CoreV1Api()
seen = {}


def session(call, pod, **options):
    return stream(call, pod, "default", stdout=True, _preload_content=False, **options)


command = ["sh", "-c", "echo out; echo err >&2"]
seen["exec"] = stream(
    api.connect_get_namespaced_pod_exec, "box", "default", command=command, stdout=True, stderr=True, stdin=False, tty=False
)

shell = session(api.connect_get_namespaced_pod_exec, "box", command=["sh"], stdin=True, stderr=True, tty=False)
shell.write_stdin("echo one; exit 3\n")
shell.run_forever()
seen["shell"] = [shell.read_stdout(), shell.returncode]

wait = "until stty size 2>/dev/null | grep '^37 91'; do sleep 0.1; done"
terminal = session(
    api.connect_get_namespaced_pod_exec, "box", command=["sh", "-c", wait], stdin=True, stderr=False, tty=True
)
terminal.write_channel(4, json.dumps({"Width": 91, "Height": 37}))
terminal.run_forever()
seen["size"] = terminal.read_all()

attached = session(api.connect_get_namespaced_pod_attach, "shell", stdin=True, stderr=False, tty=True)
attached.write_stdin("echo python$((20 + 3))\n")
text = ""
while attached.is_open() and "python23" not in text:
    text += attached.read_stdout(timeout=1) or ""
seen["attached"] = "python23" in text
attached.close()

ports = portforward(api.connect_get_namespaced_pod_portforward, "web", "default", ports="80,81")
socket = ports.socket(80)
socket.setblocking(True)
socket.sendall(b"GET / HTTP/1.0\r\n\r\n")
page = b""
while chunk := socket.recv(4096):
    page += chunk
seen["forwarded"] = b"Welcome to nginx!" in page and ports.error(80) is None
seen["refused"] = "error forwarding port 81 to pod web_default" in (ports.error(81) or "")

seen["log"] = list(watch.Watch().stream(api.read_namespaced_pod_log, "job", "default", container="b", follow=True))
page = api.connect_get_namespaced_service_proxy_with_path("web:8080", "default", "index.html")
seen["proxied"] = "Welcome to nginx!" in page
print(json.dumps(seen))
