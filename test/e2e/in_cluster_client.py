"""The Python client (PyPI: kubernetes) with the in-cluster configuration. Prints what it has seen as JSON."""

import json

from kubernetes import client, config, watch

config.load_incluster_config()
api = client.CoreV1Api()
account = "/var/run/secrets/kubernetes.io/serviceaccount"
with open(f"{account}/namespace", encoding="utf-8") as file:
    namespace = file.read()
seen = {}
found = api.list_namespaced_pod(namespace)
seen["names"] = [pod.metadata.name for pod in found.items]
with_watch = watch.Watch()
for event in with_watch.stream(api.list_namespaced_pod, namespace):
    seen["watched"] = [event["type"], event["object"].metadata.name]
    with_watch.stop()
try:
    api.list_namespaced_secret(namespace)
except client.ApiException as error:
    seen["secrets"] = error.status
print(json.dumps(seen))
