# SPDX-License-Identifier: Apache-2.0
"""layers.py – tars as layers: made here, unpacked as containerd's overlayfs snapshotter unpacks them, mounted by
layer-mount, and compared as trees."""
import gzip, io, os, shutil, stat, subprocess, tarfile, time

from tree import describe, names_below

WORK = os.path.join(os.environ["E2E_DIR"], "work")


def write_tar(path, entries, **extra):
    """entries: (name, type, fields of TarInfo, content)."""
    with tarfile.open(path, "w", format=tarfile.PAX_FORMAT) as tar:
        for name, kind, fields, content in entries:
            info = tarfile.TarInfo(name)
            info.type, info.size, info.mtime = kind, len(content), 1700000000
            for key, value in fields.items():
                setattr(info, key, value)
            tar.addfile(info, io.BytesIO(content))
    return path


def plain(path, to):
    """The uncompressed tar of a layer."""
    with open(path, "rb") as f:
        compressed = f.read(2) == b"\x1f\x8b"
    with (gzip.open(path) if compressed else open(path, "rb")) as f, open(to, "wb") as out:
        shutil.copyfileobj(f, out)
    return to


# ---- unpacking, on a real file system ----------------------------------------------------------------------------

def apply(tar_path, root):
    """As containerd applies a layer to an overlay's upper directory; symlinks among parents do not occur here."""
    os.makedirs(root)
    os.chmod(root, 0o755)
    root = root.encode()
    made_up, times = set(), {}
    with tarfile.open(tar_path, "r:", encoding="utf-8", errors="surrogateescape") as tar:
        for m in tar:
            name = os.path.normpath(b"/" + os.fsencode(m.name)).lstrip(b"/")
            if not name:
                continue
            path = os.path.join(root, name)
            parent, base = os.path.split(name)
            at = b""
            for part in filter(None, parent.split(b"/")):
                at = os.path.join(at, part)
                if not os.path.lexists(os.path.join(root, at)):
                    os.mkdir(os.path.join(root, at), 0o755)
                    made_up.add(at)
            if base == b".wh..wh..opq":
                os.setxattr(os.path.dirname(path), "trusted.overlay.opaque", b"y")
                continue
            if base.startswith(b".wh."):
                name = os.path.join(parent, base[4:])
                os.mknod(os.path.join(root, name), stat.S_IFCHR, 0)
                os.chown(os.path.join(root, name), m.uid, m.gid)
                made_up.add(name)
                continue
            made_up.discard(name)
            if os.path.lexists(path) and not (os.path.isdir(path) and not os.path.islink(path) and m.isdir()):
                shutil.rmtree(path) if os.path.isdir(path) and not os.path.islink(path) else os.unlink(path)
            make(tar, m, path, root)
            os.lchown(path, m.uid, m.gid)
            for key, value in m.pax_headers.items():
                key = os.fsencode(key).removeprefix(b"SCHILY.xattr.")
                if key != os.fsencode(key.decode()) or not key.startswith((b"user.", b"security.", b"system.posix_acl_")):
                    continue
                os.setxattr(path, key, value.encode("utf-8", "surrogateescape"), follow_symlinks=False)
            if not os.path.islink(path):
                os.chmod(path, m.mode & 0o7777)
            t = int(round(m.mtime * 10**9))
            if "mtime" in m.pax_headers:
                whole, _, part = m.pax_headers["mtime"].partition(".")
                t = int(whole) * 10**9 + int((part + "000000000")[:9] or 0)
            t = t if 0 <= t < 2**63 else 0
            os.utime(path, ns=(t, t), follow_symlinks=False)
            if m.isdir():
                times[path] = t
    for path, t in times.items():
        if os.path.isdir(path):
            os.utime(path, ns=(t, t))
    return made_up


def make(tar, m, path, root):
    if m.isdir():
        if not os.path.isdir(path):
            os.mkdir(path)
    elif m.issym():
        os.symlink(os.fsencode(m.linkname), path)
    elif m.islnk():
        os.link(os.path.join(root, os.path.normpath(b"/" + os.fsencode(m.linkname)).lstrip(b"/")), path,
                follow_symlinks=False)
    elif m.ischr() or m.isblk():
        os.mknod(path, (stat.S_IFCHR if m.ischr() else stat.S_IFBLK) | 0o600, os.makedev(m.devmajor, m.devminor))
    elif m.isfifo():
        os.mkfifo(path)
    else:
        with open(path, "wb") as f:
            shutil.copyfileobj(tar.extractfile(m), f)


# ---- comparing ----------------------------------------------------------------------------------------------------

def tree(root, timeless=()):
    """Every entry by its path. Times of the root and of `timeless` are the clock's where a layer is unpacked."""
    top, first_names, out = os.fsencode(root), {}, {}
    for name in sorted(names_below(top, b".", os.lstat(top).st_dev)):
        out[name] = describe(os.path.join(top, name), name, first_names)
        if name == b"." or name in timeless:
            del out[name]["mtime_ns"]
    return out


def assert_same(got, want, what):
    for name in sorted(got.keys() | want.keys()):
        assert got.get(name) == want.get(name), f"{what}: {name}: {got.get(name)} is not {want.get(name)}"


# ---- mounting ------------------------------------------------------------------------------------------------------

class Mount:
    """A process that mounts a plain tar, or with engine=True a layer file, whose bytes come as it is told."""

    def __init__(self, layer, name, *flags, deadline=None, engine=False):
        program = os.path.join(os.environ["E2E_BIN"], "layer-mount-engine" if engine else "layer-mount")
        self.dir = os.path.join(WORK, name)
        os.makedirs(self.dir, exist_ok=True)
        self.log = open(os.path.join(os.environ["E2E_DIR"], "logs", f"{name}.log"), "w")
        command = [program, *flags, layer, self.dir] + ([str(deadline)] if deadline else [])
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.log,
                                        text=True, env={**os.environ, "TMPDIR": WORK})
        assert self.process.stdout.readline() == "ok 0\n", open(self.log.name).read()
        self.erofs = self.tell("backend") == 1
        assert self.erofs == (os.environ.get("E2E_BACKEND") != "fuse"), open(self.log.name).read()

    def tell(self, line):
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        word, _, rest = self.process.stdout.readline().strip().partition(" ")
        assert word == "ok", f"{line}: {rest}"
        return int(rest)

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        self.process.stdin.close()
        if kind:
            self.process.kill()
            return
        code = self.process.wait(timeout=20)
        while subprocess.run(["umount", "-l", self.dir], stderr=subprocess.DEVNULL, check=False).returncode == 0:
            pass
        assert code == 0, f"layer-mount ended with {code}: {open(self.log.name).read()[-2000:]}"


def overlay(name, lower, **options):
    """An overlay over lower directories (nearest first); returns its directory."""
    base = os.path.join(WORK, name)
    dirs = {k: os.path.join(base, k) for k in ("upper", "work", "merged")}
    for d in dirs.values():
        os.makedirs(d)
    text = f"lowerdir={':'.join(lower)},upperdir={dirs['upper']},workdir={dirs['work']}"
    text += "".join(f",{k}={v}" for k, v in options.items())
    subprocess.run(["mount", "-t", "overlay", "overlay", "-o", text, dirs["merged"]], check=True)
    return dirs["merged"]


def umount(path):
    subprocess.run(["umount", path], check=True)


def wait_until(what, true, seconds=10):
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, f"no {what} within {seconds} s"
        time.sleep(0.02)
