import type { MediaSession } from './media-session';
import type { Source } from './signaling.gen';

/** What the browser itself counted for one track that comes in. */
export interface IncomingStats {
  userId: string;
  source: Source;
  codec: string | undefined;
  packetsReceived: number;
  bytesReceived: number;
  /** Bytes of headers and padding. */
  headerBytesReceived: number | undefined;
  framesDecoded: number | undefined;
  frameWidth: number | undefined;
  frameHeight: number | undefined;
}

/** What the browser itself counted for one encoding that goes out. */
export interface OutgoingStats {
  source: Source;
  rid: string | undefined;
  codec: string | undefined;
  scalabilityMode: string | undefined;
  packetsSent: number;
  framesEncoded: number | undefined;
  frameWidth: number | undefined;
  frameHeight: number | undefined;
}

export async function incomingStats(session: MediaSession): Promise<IncomingStats[]> {
  const tracks = [...session.receiver.tracks()];
  const found = await Promise.all(
    tracks.map(async ({ consumer, userId, source }) =>
      entries(await consumer.getStats(), 'inbound-rtp').map(({ row, codec }) => ({
        userId,
        source,
        codec,
        packetsReceived: row.packetsReceived ?? 0,
        bytesReceived: row.bytesReceived ?? 0,
        headerBytesReceived: row.headerBytesReceived,
        framesDecoded: row.framesDecoded,
        frameWidth: row.frameWidth,
        frameHeight: row.frameHeight,
      })),
    ),
  );
  return found.flat();
}

export async function outgoingStats(session: MediaSession): Promise<OutgoingStats[]> {
  const found = await Promise.all(
    [...session.sender.producers()].map(async ([source, producer]) =>
      entries(await producer.getStats(), 'outbound-rtp').map(({ row, codec }) => ({
        source,
        rid: row.rid,
        codec,
        scalabilityMode: row.scalabilityMode,
        packetsSent: row.packetsSent ?? 0,
        framesEncoded: row.framesEncoded,
        frameWidth: row.frameWidth,
        frameHeight: row.frameHeight,
      })),
    ),
  );
  return found.flat();
}

/** The members of `inbound-rtp` and `outbound-rtp` (W3C webrtc-stats) that are read here. */
interface RtpStats {
  type: string;
  codecId?: string;
  rid?: string;
  scalabilityMode?: string;
  packetsReceived?: number;
  bytesReceived?: number;
  headerBytesReceived?: number;
  packetsSent?: number;
  framesDecoded?: number;
  framesEncoded?: number;
  frameWidth?: number;
  frameHeight?: number;
}

function entries(report: RTCStatsReport, type: 'inbound-rtp' | 'outbound-rtp') {
  const rows: RtpStats[] = [...report.values()];
  return rows
    .filter((row) => row.type === type)
    .map((row) => {
      const codec: { mimeType?: string } | undefined = row.codecId && report.get(row.codecId);
      return { row, codec: codec?.mimeType };
    });
}
