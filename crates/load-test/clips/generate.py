#!/usr/bin/env python3
"""Makes the clips that load-test's publishers loop: a moving test picture and a tone, encoded as real-time senders do.

Needs ffmpeg with libvpx, libx264, libaom and libopus: `apt-get install ffmpeg`. Each clip is a list of encoded frames,
each behind its length (4 bytes, big endian); the first video frame is the only key frame.
"""
import struct
import subprocess
import sys
import tempfile
from pathlib import Path

FOLDER = Path(__file__).parent
FRAMES = 150
PICTURE = "testsrc2=size=320x180:rate=30,noise=alls=6:allf=t:all_seed=7"
VIDEO = ["-frames:v", str(FRAMES), "-g", "9999", "-b:v", "250k", "-pix_fmt", "yuv420p"]
REALTIME_VPX = ["-deadline", "realtime", "-cpu-used", "8", "-lag-in-frames", "0", "-auto-alt-ref", "0"]


def encode(source, arguments, suffix):
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder, f"clip.{suffix}")
        command = ["ffmpeg", "-v", "error", "-bitexact", "-f", "lavfi", "-i", source, *arguments, str(target)]
        subprocess.run(command, check=True, stdout=sys.stderr)
        return target.read_bytes()


def ivf_frames(data):
    position = struct.unpack_from("<H", data, 6)[0]
    while position < len(data):
        length = struct.unpack_from("<I", data, position)[0]
        yield data[position + 12 : position + 12 + length]
        position += 12 + length


def annex_b_frames(data):
    """Access units, which begin with a delimiter; kept without it, each NAL unit behind its length (4 bytes)."""
    units = [unit.removesuffix(b"\0") for unit in data.split(b"\0\0\1")[1:]]
    frame = b""
    for unit in units:
        if unit[0] & 0x1F == 9:
            if frame:
                yield frame
            frame = b""
        else:
            frame += struct.pack(">I", len(unit)) + unit
    yield frame


def ogg_packets(data):
    """The packets of a stream with one track, without the two that describe it."""
    packets, packet, position = [], b"", 0
    while position < len(data):
        count = data[position + 26]
        lacing = data[position + 27 : position + 27 + count]
        position += 27 + count
        for length in lacing:
            packet += data[position : position + length]
            position += length
            if length < 255:
                packets.append(packet)
                packet = b""
    return packets[2:]


def write(name, frames):
    frames = list(frames)
    clip = b"".join(struct.pack(">I", len(frame)) + frame for frame in frames)
    Path(FOLDER, f"{name}.clip").write_bytes(clip)
    print(f"{name}: {len(frames)} frames, {len(clip)} bytes, the largest {max(map(len, frames))}")


write("vp8", ivf_frames(encode(PICTURE, [*VIDEO, "-c:v", "libvpx", *REALTIME_VPX], "ivf")))
write("vp9", ivf_frames(encode(PICTURE, [*VIDEO, "-c:v", "libvpx-vp9", *REALTIME_VPX], "ivf")))
av1 = ["-c:v", "libaom-av1", "-usage", "realtime", "-cpu-used", "8", "-lag-in-frames", "0"]
write("av1", ivf_frames(encode(PICTURE, [*VIDEO, *av1], "ivf")))
# Level 3.1 constrained baseline with parameter sets in the stream, which is what browsers send as 42e01f.
x264 = ["-c:v", "libx264", "-preset", "veryfast", "-tune", "zerolatency", "-profile:v", "baseline", "-level", "3.1"]
x264 += ["-x264-params", "sliced-threads=0:slices=1:scenecut=0", "-bsf:v", "h264_metadata=aud=insert"]
write("h264", annex_b_frames(encode(PICTURE, [*VIDEO, *x264], "h264")))
opus = ["-t", "2", "-c:a", "libopus", "-b:a", "24k", "-vbr", "on", "-application", "voip", "-frame_duration", "20"]
write("opus", ogg_packets(encode("sine=frequency=440:sample_rate=48000", [*opus, "-ac", "2"], "ogg"))[:100])
