# SPDX-License-Identifier: Apache-2.0
"""many_layers.py REGISTRY NAME BASE COUNT [FIRST] – pushes an image of COUNT layers: the first is the file BASE (tar + gzip),
the others hold one file each, many/<n> with n from FIRST (1), which belongs to user and group n. As one process: a shell
script takes a minute."""
import gzip, hashlib, http.client, io, json, platform, sys, tarfile

registry, (name, tag), base, count = sys.argv[1], sys.argv[2].split(":"), sys.argv[3], int(sys.argv[4])
first = int(sys.argv[5]) if len(sys.argv) > 5 else 1
connection = http.client.HTTPConnection(registry)


def digest(data):
    return "sha256:" + hashlib.sha256(data).hexdigest()


def request(method, path, body=None, headers=()):
    connection.request(method, path, body, dict(headers))
    answer = connection.getresponse()
    answer.read()
    assert answer.status in (201, 202), f"{method} {path}: {answer.status}"
    return answer


def push(data, kind):
    place = request("POST", f"/v2/{name}/blobs/uploads/").getheader("Location").split(registry, 1)[-1]
    request("PUT", f"{place}&digest={digest(data)}", data, {"Content-Type": "application/octet-stream"})
    return {"mediaType": f"application/vnd.oci.image.{kind}", "digest": digest(data), "size": len(data)}


def layer(n):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as tar:
        directory, file, content = tarfile.TarInfo("many"), tarfile.TarInfo(f"many/{n}"), b"%d\n" % n
        directory.type, directory.mode = tarfile.DIRTYPE, 0o755
        file.size, file.uid, file.gid = len(content), n, n
        tar.addfile(directory)
        tar.addfile(file, io.BytesIO(content))
    return out.getvalue()


with open(base, "rb") as f:
    blobs = [f.read()]
diffs = [digest(gzip.decompress(blobs[0]))]
for n in range(first, first + count - 1):
    tar = layer(n)
    diffs.append(digest(tar))
    blobs.append(gzip.compress(tar, mtime=0))
layers = [push(blob, "layer.v1.tar+gzip") for blob in blobs]
config = push(json.dumps({
    "architecture": {"x86_64": "amd64", "aarch64": "arm64"}[platform.machine()], "os": "linux", "config": {"Env": ["PATH=/bin"]},
    "rootfs": {"type": "layers", "diff_ids": diffs}}).encode(), "config.v1+json")
kind = "application/vnd.oci.image.manifest.v1+json"
request("PUT", f"/v2/{name}/manifests/{tag}", json.dumps(
    {"schemaVersion": 2, "mediaType": kind, "config": config, "layers": layers}).encode(), {"Content-Type": kind})
