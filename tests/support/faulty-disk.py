"""A disk with faults, for the program that it runs: a folder seen through FUSE, in a mount namespace.

    unshare --map-root-user --mount python3 faulty-disk.py FOLDER FAULTS PROGRAM...

shows FOLDER to PROGRAM, with files whose content is in FOLDER.real, where everybody else sees them. FAULTS is a file: when
it is empty the disk works, `slow 2` makes each write take 2 s, and `EIO` makes each fail. PROGRAM takes the place of this
process; the disk goes with it.
"""

import ctypes
import errno
import os
import signal
import struct
import sys
import time

LIBC = ctypes.CDLL(None, use_errno=True)
PR_SET_PDEATHSIG = 1

# Of linux/fuse.h.
IN_HEADER = struct.Struct("=IIQQIIII")
OUT_HEADER = struct.Struct("=IiQ")
ATTRIBUTES = struct.Struct("=QQQQQQIIIIIIIIII")
LOOKUP, FORGET, GETATTR, SETATTR, MKDIR, UNLINK, RMDIR, RENAME = 1, 2, 3, 4, 9, 10, 11, 12
OPEN, READ, WRITE, STATFS, RELEASE, FSYNC, FLUSH, INIT = 14, 15, 16, 17, 18, 20, 25, 26
OPENDIR, READDIR, RELEASEDIR, FSYNCDIR, ACCESS, CREATE, INTERRUPT, BATCH_FORGET = 27, 28, 29, 30, 34, 35, 36, 42
ROOT = 1
FATTR_MODE, FATTR_SIZE = 1 << 0, 1 << 3
MAX_WRITE = 128 * 1024


class Disk:
    def __init__(self, device, folder, faults):
        self.device = device
        self.faults = faults
        self.paths = {ROOT: folder}
        self.files = {}
        self.last = ROOT

    def serve(self):
        while True:
            try:
                request = os.read(self.device, MAX_WRITE + 4096)
            except OSError as error:
                if error.errno in (errno.EINTR, errno.ENOENT):
                    continue
                return  # unmounted
            length, opcode, unique, node, *_ = IN_HEADER.unpack_from(request)
            if opcode in (FORGET, BATCH_FORGET, INTERRUPT):
                continue
            try:
                code, answer = 0, self.answer(opcode, node, request[IN_HEADER.size : length])
            except OSError as error:
                code, answer = -error.errno, b""
            os.write(self.device, OUT_HEADER.pack(OUT_HEADER.size + len(answer), code, unique) + answer)

    def answer(self, opcode, node, body):
        path = self.paths.get(node)
        if opcode == INIT:
            # Version 7.31, no features; readahead, background requests, largest write.
            return struct.pack("=IIIIHHIIHHI28x", 7, 31, 65536, 0, 12, 10, MAX_WRITE, 1, 0, 0, 0)
        if opcode == LOOKUP:
            return self.entry(os.path.join(path, name(body)))
        if opcode == GETATTR:
            return self.attributes(node, path)
        if opcode == SETATTR:
            return self.change(node, path, body)
        if opcode == MKDIR:
            child = os.path.join(path, name(body[8:]))
            os.mkdir(child, struct.unpack_from("=I", body)[0])
            return self.entry(child)
        if opcode == UNLINK:
            os.unlink(os.path.join(path, name(body)))
            return b""
        if opcode == RMDIR:
            os.rmdir(os.path.join(path, name(body)))
            return b""
        if opcode == RENAME:
            old, new = (os.fsdecode(text) for text in body[8:].split(b"\0")[:2])
            return self.move(os.path.join(path, old), os.path.join(self.paths[struct.unpack_from("=Q", body)[0]], new))
        if opcode == OPEN:
            return self.opened(os.open(path, struct.unpack_from("=I", body)[0] & ~os.O_APPEND))
        if opcode == CREATE:
            flags, mode = struct.unpack_from("=II", body)
            child = os.path.join(path, name(body[16:]))
            file = os.open(child, flags & ~os.O_APPEND | os.O_CREAT, mode)
            return self.entry(child) + self.opened(file)
        if opcode == READ:
            handle, at, size = struct.unpack_from("=QQI", body)
            return os.pread(self.files[handle], size, at)
        if opcode == WRITE:
            handle, at, size = struct.unpack_from("=QQI", body)
            self.fail()
            return struct.pack("=II", os.pwrite(self.files[handle], body[40 : 40 + size], at), 0)
        if opcode in (FSYNC, FSYNCDIR):
            return b""
        if opcode == RELEASE:
            os.close(self.files.pop(struct.unpack_from("=Q", body)[0]))
            return b""
        if opcode in (FLUSH, RELEASEDIR, ACCESS):
            return b""
        if opcode == OPENDIR:
            return struct.pack("=QII", 0, 0, 0)
        if opcode == READDIR:
            return self.listing(path, *struct.unpack_from("=QI", body, 8))
        if opcode == STATFS:
            found = os.statvfs(path)
            return struct.pack("=QQQQQIIII24x", *found[2:7], found.f_bsize, found.f_namemax, found.f_frsize, 0)
        raise OSError(errno.ENOSYS, "not asked by the recorder")

    def fail(self):
        with open(self.faults) as faults:
            what = faults.read().split()
        if what[:1] == ["slow"]:
            time.sleep(float(what[1]))
        elif what:
            raise OSError(getattr(errno, what[0]), "as ordered")

    def move(self, old, new):
        os.rename(old, new)
        self.paths = {node: new if path == old else path for node, path in self.paths.items() if path != new}
        return b""

    def opened(self, file):
        self.files[file] = file
        return struct.pack("=QII", file, 0, 0)

    def entry(self, path):
        found = os.lstat(path)
        node = next((node for node, known in self.paths.items() if known == path), None)
        if node is None:
            self.last += 1
            node = self.last
            self.paths[node] = path
        return struct.pack("=QQQQII", node, 0, 0, 0, 0, 0) + packed(node, found)

    def attributes(self, node, path):
        return struct.pack("=QII", 0, 0, 0) + packed(node, os.lstat(path))

    def change(self, node, path, body):
        valid, _, _, size = struct.unpack_from("=IIQQ", body)
        if valid & FATTR_SIZE:
            os.truncate(path, size)
        if valid & FATTR_MODE:
            os.chmod(path, struct.unpack_from("=I", body, 68)[0])
        return self.attributes(node, path)

    def listing(self, path, after, size):
        answer = b""
        for number, entry in enumerate([".", "..", *sorted(os.listdir(path))]):
            text = entry.encode()
            row = struct.pack("=QQII", ROOT + 1 + number, number + 1, len(text), 0) + text
            row += bytes(-len(row) % 8)
            if number >= after and len(answer) + len(row) <= size:
                answer += row
        return answer


def name(body):
    return os.fsdecode(body[: body.index(0)])


def packed(node, found):
    seconds = [int(at) for at in (found.st_atime, found.st_mtime, found.st_ctime)]
    whole = (node, found.st_size, found.st_blocks, *seconds, 0, 0, 0)
    return ATTRIBUTES.pack(*whole, found.st_mode, found.st_nlink, 0, 0, 0, 4096, 0)


def main():
    folder, faults, *program = sys.argv[1:]
    device = os.open("/dev/fuse", os.O_RDWR)
    options = f"fd={device},rootmode=40000,user_id=0,group_id=0"
    if LIBC.mount(b"faulty-disk", os.fsencode(folder), b"fuse", 0, options.encode()) != 0:
        sys.exit(f"FUSE cannot be mounted: {os.strerror(ctypes.get_errno())}")
    if os.fork() == 0:
        LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        os.setsid()
        Disk(device, f"{folder}.real", faults).serve()
        os._exit(0)
    os.close(device)
    os.execvp(program[0], program)


main()
