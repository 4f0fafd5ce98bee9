"""A call's participant on another WebRTC stack: aiortc, driven by pymediasoup and python-socketio.

Sends a microphone and a camera, receives everything others send, and writes what happens as lines of JSON.
It is the DTLS server where it sends and the client where it receives, fingerprints with sha-512, and knows REMB only.
"""

import argparse
import asyncio
import json
import math
from array import array
from fractions import Fraction

import socketio
from aiortc import MediaStreamTrack, rtcdtlstransport
from av import AudioFrame, VideoFrame
from pymediasoup import AiortcHandler, Device
from pymediasoup.models.transport import DtlsParameters, IceCandidate, IceParameters
from pymediasoup.rtp_parameters import RtpCapabilities, RtpParameters
from pymediasoup.sctp_parameters import SctpParameters

SAMPLE_RATE = 48_000
SAMPLES = SAMPLE_RATE // 50
FPS = 15
WIDTH, HEIGHT = 320, 180


def say(event, **details):
    print(json.dumps({"event": event, **details}), flush=True)


class Paced(MediaStreamTrack):
    """A track whose frames come by the clock."""

    def __init__(self, interval):
        super().__init__()
        self.interval = interval
        self.count = 0
        self.begin = None

    async def turn(self):
        now = asyncio.get_running_loop().time()
        self.begin = self.begin or now
        await asyncio.sleep(self.begin + self.count * self.interval - now)
        self.count += 1
        return self.count


class Microphone(Paced):
    kind = "audio"

    def __init__(self, hertz):
        super().__init__(SAMPLES / SAMPLE_RATE)
        self.hertz = hertz

    async def recv(self):
        first = await self.turn() * SAMPLES
        angle = 2 * math.pi * self.hertz / SAMPLE_RATE
        wave = array("h", (int(8000 * math.sin(angle * (first + at))) for at in range(SAMPLES)))
        frame = AudioFrame(format="s16", layout="mono", samples=SAMPLES)
        frame.planes[0].update(wave.tobytes())
        frame.pts, frame.sample_rate, frame.time_base = first, SAMPLE_RATE, Fraction(1, SAMPLE_RATE)
        return frame


class Camera(Paced):
    """Films one colour, crossed by a moving bar."""

    kind = "video"

    def __init__(self, hue):
        super().__init__(1 / FPS)
        self.hue = hue

    async def recv(self):
        count = await self.turn()
        frame = VideoFrame(WIDTH, HEIGHT, "yuv420p")
        left = count * 8 % (WIDTH - 32)
        row = bytes(left * [90] + 32 * [230]).ljust(frame.planes[0].line_size, bytes([90]))
        frame.planes[0].update(row * HEIGHT)
        for plane in frame.planes[1:]:
            plane.update(bytes([self.hue]) * plane.buffer_size)
        frame.pts, frame.time_base = count * 90_000 // FPS, Fraction(1, 90_000)
        return frame


class Peer:
    def __init__(self, arguments):
        self.arguments = arguments
        self.socket = socketio.AsyncClient()
        self.device = Device(handlerFactory=AiortcHandler.createFactory())
        self.consumers = {}
        self.consuming = asyncio.Lock()
        self.tasks = set()

    async def run(self):
        arguments = self.arguments
        self.socket.on("media:new-producer", self.on_new_producer, namespace=NAMESPACE)
        await self.socket.connect(arguments.url, namespaces=[NAMESPACE], auth={"token": arguments.token})
        call = {"callId": arguments.call}
        offered = await self.request("media:router-capabilities", call)
        await self.device.load(RtpCapabilities.model_validate(offered["routerRtpCapabilities"]))
        capabilities = plain(self.device.recvRtpCapabilities)
        media = {"send": True, "recv": True, "consume": True}
        async with self.consuming:
            joined = await self.request("call:join", {**call, "rtpCapabilities": capabilities, "media": media})
            self.leg = joined["legId"]
            self.send_transport = self.adopt("send", joined["transports"]["send"])
            self.recv_transport = self.adopt("recv", joined["transports"]["recv"])
            await self.accept(joined["consumers"])
        await self.send_transport.produce(Microphone(arguments.hertz), appData={"source": "mic"})
        await self.send_transport.produce(Camera(arguments.hue), appData={"source": "camera"})
        await self.socket.wait()

    async def request(self, event, payload):
        ack = await self.socket.call(event, payload, namespace=NAMESPACE)
        if not ack["ok"]:
            raise RuntimeError(f"{event}: {ack['error']}")
        return ack["data"]

    def adopt(self, direction, offered):
        create = self.device.createSendTransport if direction == "send" else self.device.createRecvTransport
        transport = create(
            id=offered["id"],
            iceParameters=IceParameters.model_validate(offered["iceParameters"]),
            iceCandidates=[IceCandidate.model_validate(candidate) for candidate in offered["iceCandidates"]],
            dtlsParameters=DtlsParameters.model_validate(offered["dtlsParameters"]),
            sctpParameters=SctpParameters.model_validate(offered["sctpParameters"]),
        )

        @transport.on("connect")
        async def connect(parameters):
            parameters = plain(parameters)
            algorithms = [fingerprint["algorithm"] for fingerprint in parameters["fingerprints"]]
            say("connecting", direction=direction, role=parameters["role"], fingerprints=algorithms)
            await self.request(
                "media:connect-transport", {"transportId": transport.id, "dtlsParameters": parameters}
            )

        @transport.on("produce")
        async def produce(kind, rtpParameters, appData):
            parameters = plain(rtpParameters)
            say("producing", kind=kind, extensions=[listed["uri"] for listed in parameters["headerExtensions"]])
            request = {"transportId": transport.id, "kind": kind, "rtpParameters": parameters, "appData": appData}
            return (await self.request("media:produce", request))["id"]

        @transport.on("connectionstatechange")
        async def changed(state):
            if state == "connected":
                self.start(self.tell_protection(direction, transport))

        return transport

    async def tell_protection(self, direction, transport):
        """ICE is connected; the profile is known when DTLS is, too."""
        pc = transport.handler.pc
        half = pc.getSenders()[0] if direction == "send" else pc.getReceivers()[0]
        while half.transport.state != "connected":
            await asyncio.sleep(0.02)
        profile = half.transport._ssl.get_selected_srtp_profile()
        say("protected", direction=direction, profile=profile.decode())

    async def on_new_producer(self, event):
        async with self.consuming:
            if event["legId"] == self.leg or event["producerId"] in self.consumers:
                return
            request = {"transportId": self.recv_transport.id, "producerIds": [event["producerId"]]}
            await self.accept((await self.request("media:consume", request))["consumers"])

    async def accept(self, offered):
        for consumer in offered:
            received = await self.recv_transport.consume(
                id=consumer["id"],
                producerId=consumer["producerId"],
                kind=consumer["kind"],
                rtpParameters=RtpParameters.model_validate(consumer["rtpParameters"]),
                streamId=consumer["streamId"],
            )
            self.consumers[consumer["producerId"]] = received
            sense = self.watch if consumer["kind"] == "video" else self.listen
            self.start(sense(consumer["userId"], received.track))
        if offered:
            ids = [consumer["id"] for consumer in offered]
            await self.request("media:resume-consumer", {"consumerIds": ids})

    async def watch(self, user, track):
        frames = 0
        while True:
            frame = await track.recv()
            frames += 1
            if frames % 10 == 0:
                chroma = frame.reformat(format="yuv420p").planes[1]
                middle = chroma.height // 2 * chroma.line_size + chroma.width // 2
                say("seen", userId=user, frames=frames, width=frame.width, hue=bytes(chroma)[middle])

    async def listen(self, user, track):
        frames = 0
        while True:
            frame = await track.recv()
            frames += 1
            if frames % 25 == 0:
                channels = len(frame.layout.channels)
                samples = array("h", bytes(frame.planes[0]))[: frame.samples * channels : channels]
                power = sum(sample * sample for sample in samples) / len(samples)
                rises = [at for at in range(1, len(samples)) if samples[at - 1] < 0 <= samples[at]]
                span = rises[-1] - rises[0] if len(rises) > 1 else 0
                hertz = frame.sample_rate * (len(rises) - 1) / span if span else 0
                say("heard", userId=user, loudness=round(math.sqrt(power)), hertz=round(hertz))

    def start(self, coroutine):
        task = asyncio.get_running_loop().create_task(coroutine)
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)


def plain(model):
    return model.model_dump(mode="json", exclude_none=True)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--url", required=True)
    parser.add_argument("--token", required=True)
    parser.add_argument("--call", required=True)
    parser.add_argument("--hue", type=int, default=60)
    parser.add_argument("--hertz", type=int, default=440)
    parser.add_argument("--only-aes-cm", action="store_true", help="offer and accept no GCM profile")
    arguments = parser.parse_args()
    if arguments.only_aes_cm:
        rtcdtlstransport.SRTP_PROFILES[:] = [rtcdtlstransport.SRTP_AES128_CM_SHA1_80]
    asyncio.run(Peer(arguments).run())


NAMESPACE = "/calls"

if __name__ == "__main__":
    main()
