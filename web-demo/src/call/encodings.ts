import type { Device, ProducerOptions } from 'mediasoup-client/types';
import type { Source } from './signaling.gen';

export type CodecName = 'vp8' | 'vp9' | 'av1' | 'h264';

export interface VideoChoice {
  codec: CodecName;
  /** A scalability mode such as `L3T3`; sends one scalable stream instead of simulcast. */
  svc: string | undefined;
}

/** Reads `?codec=vp9` and `?svc=L3T3`, meant for tests. The default is VP8 with simulcast. */
export function videoChoiceFrom(search: string): VideoChoice {
  const query = new URLSearchParams(search);
  const asked = query.get('codec')?.toLowerCase();
  const codec = CODECS.find((name) => name === asked) ?? 'vp8';
  const svc = query.get('svc') ?? (codec === 'vp9' || codec === 'av1' ? 'L3T3' : undefined);
  return { codec, svc };
}

/** How a source is sent: codec, layers and bit rates. */
export function producerOptions(
  source: Source,
  device: Device,
  choice: VideoChoice,
): Pick<ProducerOptions, 'encodings' | 'codecOptions' | 'codec'> {
  switch (source) {
    case 'mic':
      return { codecOptions: { opusDtx: true, opusFec: true } };
    case 'screen-audio':
      return { codecOptions: { opusStereo: true, opusFec: true } };
    case 'camera':
      return { ...videoCodec(device, choice), encodings: cameraEncodings(choice), codecOptions };
    case 'screen':
      return { ...videoCodec(device, choice), encodings: [SCREEN_ENCODING], codecOptions };
  }
}

function cameraEncodings({ codec, svc }: VideoChoice): RTCRtpEncodingParameters[] {
  if (svc) return [{ ...SIMULCAST[2], scalabilityMode: svc } as RTCRtpEncodingParameters];
  return codec === 'vp8' ? SIMULCAST.map(withFrameRates) : SIMULCAST;
}

/** Three frame rates in one picture size, of which the server can drop the higher ones at any time. */
function withFrameRates(encoding: RTCRtpEncodingParameters): RTCRtpEncodingParameters {
  return { ...encoding, scalabilityMode: 'L1T3' } as RTCRtpEncodingParameters;
}

function videoCodec(device: Device, { codec }: VideoChoice): Pick<ProducerOptions, 'codec'> {
  const mimeType = `video/${codec}`;
  const found = device.sendRtpCapabilities.codecs?.find(
    (candidate) => candidate.mimeType.toLowerCase() === mimeType,
  );
  return found ? { codec: found } : {};
}

const CODECS: readonly CodecName[] = ['vp8', 'vp9', 'av1', 'h264'];

/** Three sizes of the same picture, smallest first; the server forwards the one each viewer needs. */
const SIMULCAST: RTCRtpEncodingParameters[] = [
  { scaleResolutionDownBy: 4, maxBitrate: 150_000 },
  { scaleResolutionDownBy: 2, maxBitrate: 500_000 },
  { scaleResolutionDownBy: 1, maxBitrate: 1_500_000 },
];

/** Screens stay whole: text must be readable, and motion matters less. */
const SCREEN_ENCODING: RTCRtpEncodingParameters = { maxBitrate: 2_500_000, maxFramerate: 15 };

const codecOptions = { videoGoogleStartBitrate: 1000 };
